"""The input's files -> blocks of rows, which are read one at a time. Knows where rows lie, not what becomes of them.

A block never crosses from one file to the next. Rows count from 1 in each file: in JSON lines, a row is a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from scripts.bulk import json_lines
from scripts.bulk.block import Block
from scripts.bulk.errors import BulkError
from scripts.bulk.rows import Form

PARQUET = ".parquet"
JSON_LINES = (".jsonl", ".ndjson")
KINDS = (PARQUET, *JSON_LINES)


class Reader(Protocol):
    """Reads blocks of one kind of files; those of a file in their order with one pass over it."""

    def read(self, block: Block) -> list[Any]:
        """The block's rows, each as it stands: an object of JSON, or a Refused where it is none."""
        ...


def files(paths: Sequence[Path]) -> list[Path]:
    """The input's files: each path, or what a folder holds, by name. Raises BulkError where there are none, or of several kinds."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise BulkError(f"{path} does not exist: check the input's name")
        found += sorted(inner for inner in path.iterdir() if inner.suffix in KINDS) if path.is_dir() else [path]
    unknown = [path for path in found if path.suffix not in KINDS]
    if unknown:
        raise BulkError(f"{unknown[0]} is neither {PARQUET} nor {' nor '.join(JSON_LINES)}: the name tells what is in it, rename it")
    if not found:
        raise BulkError(f"no file ends in {', '.join(KINDS)}: name files, or a folder that holds some")
    if len({is_parquet(path) for path in found}) > 1:
        raise BulkError("the input is partly Parquet and partly JSON lines: give one kind at a time")
    return found


def is_parquet(path: Path) -> bool:
    """Whether the name says Parquet."""
    return path.suffix == PARQUET


def form(paths: Sequence[Path]) -> Form:
    """The form of the rows: of the columns in Parquet, which have to be alike in all files, or of the first readable line.

    Raises BulkError where it is none, or where columns have types that no row could be right with.
    """
    if not is_parquet(paths[0]):
        return json_lines.form(paths)
    from scripts.bulk import parquet  # noqa: PLC0415 (an extra, which JSON lines do without)

    return parquet.form(paths)


def blocks(paths: Sequence[Path], most_rows: int) -> Iterator[Block]:
    """All rows, in order, as blocks of at most `most_rows`."""
    number = 0
    for path in paths:
        for first, rows, offset in _slices(path, most_rows):
            yield Block(number, path, first, rows, offset)
            number += 1


def reader(path: Path) -> Reader:
    """What reads files of the path's kind."""
    if not is_parquet(path):
        return json_lines.LinesReader()
    from scripts.bulk import parquet  # noqa: PLC0415

    return parquet.ParquetReader()


def _slices(path: Path, most_rows: int) -> Iterator[tuple[int, int, int]]:
    if not is_parquet(path):
        yield from json_lines.slices(path, most_rows)
        return
    from scripts.bulk import parquet  # noqa: PLC0415

    total = parquet.row_count(path)
    yield from ((first, min(most_rows, total - first), 0) for first in range(0, total, most_rows))
