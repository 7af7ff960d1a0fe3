"""The file of a TREC run with its texts, from which blocks are read in any order. Does not know what it was made from (collection.py).

A row is a query with its documents in the run's order: {"id", "query", "passages", "documents"}, the last being the passages' ids.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from glob import escape
from pathlib import Path
from typing import Any

from scripts.bulk.rows import Block, Rows

SUFFIX = ".collection"
DOCUMENTS = "documents"  # the field of a row with the passages' ids


def remove(path: Path) -> None:
    """Delete the file, and the unfinished ones of runs that were killed while they gathered."""
    for each in (path, *path.parent.glob(f".{escape(path.name)}.*")):
        each.unlink(missing_ok=True)


def passages_of_a_query(path: Path) -> float:
    """The mean number of passages of a query."""
    with closing(opened(path)) as store:
        (passages,), (queries,) = store.execute("SELECT count(*) FROM run"), store.execute("SELECT count(*) FROM ranked")
    return float(passages[0] / max(queries[0], 1))


def slices(path: Path, most_rows: int) -> Iterator[tuple[int, int]]:
    """(first query, queries) of consecutive slices."""
    with closing(opened(path)) as store:
        total = store.execute("SELECT count(*) FROM ranked").fetchone()[0]
    yield from ((first, min(most_rows, total - first)) for first in range(0, total, most_rows))


class GatheredReader:
    """Opens the file for each block."""

    def read(self, block: Block) -> Rows:
        """A row per query; its line in the run is that of its first document."""
        with closing(opened(block.file)) as store:
            ranked = store.execute(
                "SELECT ranked.id, line, text FROM ranked JOIN queries USING (id) WHERE ranked.rowid > ? ORDER BY ranked.rowid LIMIT ?",
                (block.first, block.rows),
            ).fetchall()
            rows = [_row(store, query, text) for query, _, text in ranked]
        return Rows(rows, [line for _, line, _ in ranked], json.loads(about(block.file))["run"])


def _row(store: sqlite3.Connection, query: str, text: str) -> dict[str, Any]:
    found = store.execute(
        "SELECT document, text FROM run JOIN documents ON id = document WHERE query = ? ORDER BY line", (query,)
    ).fetchall()
    return {"id": query, "query": text, "passages": [text for _, text in found], DOCUMENTS: [document for document, _ in found]}


def opened(path: Path) -> sqlite3.Connection:
    """The file, for reading. It never changes once it is complete."""
    return sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)


def about(path: Path) -> str:
    """The description of the input that the file was made from; empty if it is not complete."""
    try:
        with closing(opened(path)) as store:
            return str(store.execute("SELECT content FROM about").fetchone()[0])
    except sqlite3.Error:
        return ""
