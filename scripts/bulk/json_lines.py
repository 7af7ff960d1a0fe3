"""JSON lines: one object per line. Knows no more of the objects than which fields make a form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from scripts.bulk.errors import BulkError
from scripts.bulk.parts import concatenate
from scripts.bulk.rows import Block, Form, Refused, Rows, form_of

# Lines of which one must have a form: a file that starts with more bad lines is the wrong file.
_LOOKED_AT = 1000


def form(paths: Sequence[Path]) -> Form:
    """The form of the first line that has one. Raises BulkError if none of the first thousand lines has one."""
    for row in _first_rows(paths):
        if found := form_of(row):
            return found
    raise BulkError(f'no line among the first {_LOOKED_AT} has "query" and "passages", or "query" and "passage": rename the fields')


def require_fields(paths: Sequence[Path], names: Sequence[str]) -> None:
    """Raises BulkError if none of the first thousand lines has one of these fields."""
    missing = set(names)
    for row in _first_rows(paths):
        missing -= row.keys()
        if not missing:
            return
    if missing:
        raise BulkError(f"no line among the first {_LOOKED_AT} has the field {min(missing)}: name the fields of the input in --keep")


def _first_rows(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        with path.open("rb") as lines:
            rows = (parse(line) for line in islice(lines, _LOOKED_AT))
            yield from (row for row in rows if isinstance(row, dict))


def slices(path: Path, most_rows: int) -> Iterator[tuple[int, int, int]]:
    """(first line, lines, byte offset of the first) of consecutive slices of the file."""
    with path.open("rb") as lines:
        first = offset = 0
        while sizes := [len(line) for line in islice(lines, most_rows)]:
            yield first, len(sizes), offset
            first += len(sizes)
            offset += sum(sizes)


class LinesReader:
    """Seeks to the start of each block."""

    def read(self, block: Block) -> Rows:
        """A JSON value per line, or a Refused."""
        with block.file.open("rb") as lines:
            lines.seek(block.offset)
            return Rows([parse(line) for line in islice(lines, block.rows)])


class LinesOutput:
    """Writes one object per line."""

    def write(self, path: Path, rows: Sequence[dict[str, Any]]) -> None:
        """All rows; ids of types that JSON lacks become strings."""
        path.write_bytes(b"".join(orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE) for row in rows))

    def join(self, parts: Iterator[Path], path: Path) -> None:
        """All parts in order."""
        concatenate(parts, path)


def parse(line: bytes) -> Any:
    """The JSON value of a line, or a Refused."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Refused(f"no valid JSON at column {error.colno}" if line.strip() else "an empty line")
