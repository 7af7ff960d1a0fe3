"""TREC runs: lines of `query Q0 document rank score tag`, ids without spaces. Does not know texts.

The scores of a written run are raw logits in FP32, the type that trec_eval reads them into. It sorts by score and ignores the rank, so
equal logits are made to differ in their last digit, in the order of the ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.bulk.errors import BulkError
from scripts.bulk.parts import concatenate

SUFFIXES = (".run", ".trec", ".res", ".txt")
TAG = "triton-reranker"
_COLUMNS = 6


def entries(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line from 1, query, document) of each line that is not empty. Raises BulkError at the end if a line is malformed."""
    faults, first = 0, ""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            columns = line.split()
            try:
                if len(columns) == _COLUMNS:
                    yield number, columns[0].decode(), columns[2].decode()
                elif columns:
                    faults, first = faults + 1, first or f"line {number} has {len(columns)} columns"
            except UnicodeDecodeError:
                faults, first = faults + 1, first or f"line {number} is not UTF-8"
    if faults:
        raise BulkError(f"{path}: {first}; a TREC run has query, Q0, document, rank, score, tag in UTF-8: correct it ({faults} such lines)")


class RunOutput:
    """Writes a run; a query that could not be ranked has no lines."""

    def write(self, path: Path, rows: Sequence[dict[str, Any]]) -> None:
        """A line for each document of each row."""
        with path.open("w", encoding="utf-8") as lines:
            for row in rows:
                lines.writelines(_lines(row))

    def join(self, parts: Iterator[Path], path: Path) -> None:
        """All parts in order."""
        concatenate(parts, path)


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    score = np.float32(np.inf)
    for rank, entry in enumerate(row["rankings"] or (), 1):
        score = min(np.float32(entry["logit"]), np.nextafter(score, np.float32(-np.inf)))
        yield f"{row['id']} Q0 {row['documents'][entry['index']]} {rank} {float(score)!r} {TAG}\n"
