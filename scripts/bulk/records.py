"""Records of CSV and TSV: the fields of each, and where it stands in its file. Does not know columns or rows.

CSV has quotes as in RFC 4180, so a field may hold line breaks. A record of TSV is a line, and a tab always ends a field. Quotes in TSV are
removed if they enclose a whole field, as spreadsheets and pandas write them; others are part of the text, as in MS MARCO's files.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scripts.bulk.rows import Refused

CSV, TSV = ".csv", ".tsv"

_LONGEST = 16 * 2**20  # characters of a field: a quote that is not closed takes no more into memory


@dataclass(frozen=True)
class Fields:
    """A record: the line it starts on (from 1), the byte offset after it, and its fields, or why it has none."""

    line: int
    end: int
    fields: list[str] | Refused


def records(file: BinaryIO, path: Path, line: int = 1) -> Iterator[Fields]:
    """The records from the file's position on, which is the start of `line`. `path` says by its suffix whether it is CSV or TSV."""
    csv.field_size_limit(_LONGEST)  # the process's; nothing else in it reads CSV
    lines = _Lines(file, line)
    parsed = csv.reader(lines, dialect(path), strict=True) if path.suffix == CSV else map(_tab_separated, lines)
    while True:
        start = lines.line
        try:
            fields: list[str] | Refused = next(parsed)
        except StopIteration:
            return
        except csv.Error as error:
            fields = Refused(f"no valid CSV up to line {lines.line - 1} ({error})")
        if lines.take_fault():
            fields = Refused("no valid UTF-8")
        yield Fields(start, lines.offset, fields)


def row_of(record: Fields, names: Sequence[str]) -> dict[str, str] | Refused:
    """The record as {column: text}, or a Refused if it has more or fewer fields than `names`."""
    if isinstance(record.fields, Refused):
        return record.fields
    if len(record.fields) != len(names):
        empty = record.fields in ([], [""])
        return Refused("an empty line" if empty else f"columns: {len(record.fields)}, the header has {len(names)}")
    return dict(zip(names, record.fields, strict=True))


class _Lines:
    """The lines of a binary file as text; counts lines and bytes."""

    def __init__(self, file: BinaryIO, line: int) -> None:
        self._file = file
        self._fault = False
        self.line, self.offset = line, file.tell()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self._file.readline()
        if not raw:
            raise StopIteration
        at_start = self.offset == 0
        self.line += 1
        self.offset += len(raw)
        try:
            return raw.decode("utf-8-sig" if at_start else "utf-8")
        except UnicodeDecodeError:
            self._fault = True
            return raw.decode(errors="replace")

    def take_fault(self) -> bool:
        """Whether a line since the last call was not UTF-8."""
        fault, self._fault = self._fault, False
        return fault


def _tab_separated(line: str) -> list[str]:
    return [_unquoted(field) for field in line.rstrip("\r\n").split("\t")]


def _unquoted(field: str) -> str:
    inner = field[1:-1].replace('""', "")
    return field[1:-1].replace('""', '"') if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner else field


def dialect(path: Path) -> str:
    """The name of the csv module's dialect for a file, by its suffix."""
    return "excel" if path.suffix == CSV else "excel-tab"
