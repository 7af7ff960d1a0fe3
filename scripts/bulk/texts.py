"""Queries and documents with their ids, as retrieval benchmarks have them: BEIR's JSON lines, TSV, CSV, Parquet. Knows no run.

A text with a title follows it after a space, as BEIR and MTEB join them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bulk import json_lines
from scripts.bulk.errors import BulkError
from scripts.bulk.records import CSV, TSV, records, row_of
from scripts.bulk.rows import Refused

SUFFIXES = (".jsonl", ".ndjson", TSV, CSV, ".parquet")
IDS = ("_id", "id", "docid", "doc_id", "docno", "pid", "qid", "query_id")
TEXTS = ("text", "passage", "contents", "body", "query", "question")
TITLE = "title"


@dataclass(frozen=True)
class Text:
    """A query or document."""

    id: str
    text: str


@dataclass(frozen=True)
class Fault:
    """A row that is no text: its line, or row of Parquet, from 1; and why, without quoting it."""

    where: str
    reason: str


def found(path: Path) -> list[Path]:
    """The files at the path, a file or a folder of files, sorted by name. Raises BulkError if there is none that can be read."""
    if not path.exists():
        raise BulkError(f"{path} does not exist: check the name")
    files = sorted(inner for inner in path.iterdir() if inner.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files or any(file.suffix not in SUFFIXES for file in files):
        raise BulkError(f"{path} does not end in one of {', '.join(SUFFIXES)}: the suffix names the format, so convert or rename the file")
    return files


def read(path: Path) -> Iterator[Text | Fault]:
    """The texts of a file in order. Raises BulkError if its columns have no known names."""
    if path.suffix == ".parquet":
        return _of_parquet(path)
    return _of_delimited(path) if path.suffix in (CSV, TSV) else _of_lines(path)


def _of_lines(path: Path) -> Iterator[Text | Fault]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield _text(f"line {number}", json_lines.parse(line))


def _of_delimited(path: Path) -> Iterator[Text | Fault]:
    """Without a header there have to be two columns, an id and a text, as in MS MARCO."""
    with path.open("rb") as file:
        found = records(file, path)
        first = next(found, None)
        if first is None or isinstance(first.fields, Refused):
            raise BulkError(f"{path}: the first line can't be read, or the file is empty: expected UTF-8 with the columns id and text")
        names: Sequence[str] = first.fields
        if not _has_columns(names):
            if len(names) != 2:
                raise _unknown_columns(path)
            yield Text(*first.fields)
            names = (IDS[0], TEXTS[0])
        for record in found:
            yield _text(f"line {record.line}", row_of(record, names))


def _of_parquet(path: Path) -> Iterator[Text | Fault]:
    from scripts.bulk import parquet  # noqa: PLC0415 (an extra that other formats do not need)

    names = [name for name in parquet.names(path) if name in (*IDS, *TEXTS, TITLE)]
    if not _has_columns(names):
        raise _unknown_columns(path)
    for number, row in enumerate(parquet.rows(path, names), 1):
        yield _text(f"row {number}", row)


def _text(where: str, row: Any) -> Text | Fault:
    if isinstance(row, Refused):
        return Fault(where, row.reason)
    if not isinstance(row, dict):
        return Fault(where, "expected a JSON object")
    own = next((row[name] for name in IDS if row.get(name) is not None), None)
    text = next((row[name] for name in TEXTS if row.get(name) is not None), None)
    if not isinstance(own, str | int):
        return Fault(where, f"no id: expected a string or whole number named {', '.join(IDS)}")
    if not isinstance(text, str):
        return Fault(where, f"no text: expected a string named {', '.join(TEXTS)}")
    title = row.get(TITLE)
    return Text(str(own), f"{title} {text}".strip() if isinstance(title, str) else text)


def _has_columns(names: Sequence[str]) -> bool:
    return any(name in IDS for name in names) and any(name in TEXTS for name in names)


def _unknown_columns(path: Path) -> BulkError:
    return BulkError(f"{path} has no column for ids ({', '.join(IDS)}) or none for texts ({', '.join(TEXTS)}): name them in its first line")
