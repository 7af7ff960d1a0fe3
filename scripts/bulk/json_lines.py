"""JSON lines: an object a line. Knows nothing of what stands in them but how a form shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from scripts.bulk.errors import BulkError
from scripts.bulk.rows import Form, Refused, form_of

if TYPE_CHECKING:
    from scripts.bulk.block import Block

# Lines among which one has to show the form; a file that begins with more bad ones than this is another file than was meant.
_LOOKED_AT = 1000


def form(paths: Sequence[Path]) -> Form:
    """The form of the first line that has one. Raises BulkError where none of the first thousand has."""
    for path in paths:
        with path.open("rb") as lines:
            for line in islice(lines, _LOOKED_AT):
                row = _parse(line)
                found = form_of(row) if isinstance(row, dict) else None
                if found:
                    return found
    raise BulkError(f'no line among the first {_LOOKED_AT} has "query" and "passages", or "query" and "passage": rename the fields')


def slices(path: Path, most_rows: int) -> Iterator[tuple[int, int, int]]:
    """The file's lines as (first line, lines, byte where the first begins), in order."""
    with path.open("rb") as lines:
        first = offset = 0
        while sizes := [len(line) for line in islice(lines, most_rows)]:
            yield first, len(sizes), offset
            first += len(sizes)
            offset += sum(sizes)


class LinesReader:
    """Goes straight to where a block begins."""

    def read(self, block: Block) -> list[Any]:
        """A value a line, or a Refused."""
        with block.file.open("rb") as lines:
            lines.seek(block.offset)
            return [_parse(line) for line in islice(lines, block.rows)]


class LinesOutput:
    """Writes an object a line."""

    def write(self, path: Path, rows: Sequence[dict[str, Any]]) -> None:
        """All of the rows; ids that JSON has no type for are written as text."""
        path.write_bytes(b"".join(orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE) for row in rows))

    def join(self, parts: Iterator[Path], path: Path) -> None:
        """All parts in order, a piece at a time."""
        with path.open("wb") as whole:
            for part in parts:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, whole)


def _parse(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Refused(f"no valid JSON at column {error.colno}" if line.strip() else "an empty line")
