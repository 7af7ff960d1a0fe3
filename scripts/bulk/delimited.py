"""CSV and TSV: a header with query and passage, then a row per record. Does not know how rows are scored."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from scripts.bulk.errors import BulkError
from scripts.bulk.parts import concatenate
from scripts.bulk.records import dialect, records, row_of
from scripts.bulk.rows import Block, Form, Refused, Rows, form_of


def form(paths: Sequence[Path]) -> Form:
    """The form of pairs, the only one. Raises BulkError if a file's first line does not name its columns."""
    for path in paths:
        names = header(path)
        found = form_of(names)
        if found is None:
            raise BulkError(f"{path}: the first line does not name the columns query and passage: add a header, or rename the columns")
        if found is Form.RANKINGS:
            raise BulkError(f"{path}: the column passages would be a list: give a row with query and passage for each, or use JSON lines")
    return Form.PAIRS


def require_fields(paths: Sequence[Path], names: Sequence[str]) -> None:
    """Raises BulkError if a file lacks one of these columns."""
    for path in paths:
        if missing := set(names) - set(header(path)):
            raise BulkError(f"{path} has no column {min(missing)}: name the columns of the input in --keep")


def header(path: Path) -> list[str]:
    """The fields of the first line. Raises BulkError if there is none, or if it names a column twice."""
    with path.open("rb") as file:
        first = next(records(file, path), None)
    if first is None or isinstance(first.fields, Refused):
        reason = first.fields.reason if first and isinstance(first.fields, Refused) else "the file is empty"
        raise BulkError(f"{path} has no header ({reason}): the first line has to name the columns, in UTF-8")
    names = first.fields
    if len(set(names)) < len(names):
        raise BulkError(f"{path}: the header names a column twice: rename one of them")
    return names


def slices(path: Path, most_rows: int) -> Iterator[tuple[int, int, int, int]]:
    """(first row, rows, byte offset of the first, its line) of consecutive slices of the file."""
    with path.open("rb") as file:
        found = records(file, path)
        offset = next(found).end  # the header's
        first = 0
        while taken := [(record.line, record.end) for record in islice(found, most_rows)]:
            yield first, len(taken), offset, taken[0][0]
            first += len(taken)
            offset = taken[-1][1]


class DelimitedReader:
    """Seeks to the start of each block."""

    def read(self, block: Block) -> Rows:
        """A dict of strings per record, or a Refused."""
        names = header(block.file)
        with block.file.open("rb") as file:
            file.seek(block.offset)
            taken = list(islice(records(file, block.file, block.line), block.rows))
        return Rows([row_of(record, names) for record in taken], [record.line for record in taken])


class DelimitedOutput:
    """Writes pairs, one line each, with a header in the joined file. Raises BulkError for rankings."""

    def __init__(self, path: Path, form: Form, keep: Sequence[str]) -> None:
        if form is Form.RANKINGS:
            raise BulkError(f"{path}: {path.suffix} has no lists for rankings: name the output .jsonl or .parquet")
        self._names = ("id", *keep, *form.computed)
        self._dialect = dialect(path)

    def write(self, path: Path, rows: Sequence[dict[str, Any]]) -> None:
        """The rows without a header."""
        path.write_bytes(self._encoded([_as_text(row[name]) for name in self._names] for row in rows))

    def join(self, parts: Iterator[Path], path: Path) -> None:
        """The header and all parts in order."""
        concatenate(parts, path, self._encoded([self._names]))

    def _encoded(self, rows: Iterable[Sequence[str]]) -> bytes:
        text = StringIO(newline="")
        csv.writer(text, self._dialect, lineterminator="\n").writerows(rows)
        return text.getvalue().encode()


def _as_text(value: object) -> str:
    """A string or time as it is, other values as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value, default=str).decode().strip('"')
