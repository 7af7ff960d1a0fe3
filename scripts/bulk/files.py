"""The files of a run: the input as blocks of rows, and the output. A file's format is known by its suffix.

A block never spans two files. Rows count from 1 in each file; in JSON lines a row is a line. Does not know how rows are scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scripts.bulk import json_lines
from scripts.bulk.errors import BulkError
from scripts.bulk.rows import Block, Form

PARQUET = ".parquet"
SUFFIXES = (PARQUET, ".jsonl", ".ndjson")


class Reader(Protocol):
    """Reads blocks of files of one format; consecutive blocks of a file cost one pass over it."""

    def read(self, block: Block) -> list[Any]:
        """The block's rows: a JSON value each, or a Refused where a line is not JSON."""
        ...


class Output(Protocol):
    """Writes parts, and joins them to the whole output."""

    def write(self, path: Path, rows: Sequence[dict[str, Any]]) -> None:
        """A part, as a file of its own."""
        ...

    def join(self, parts: Iterator[Path], path: Path) -> None:
        """All parts in order, with one at a time in memory."""
        ...


@dataclass(frozen=True)
class Format:
    """What a file format provides: the rows' form, (first row, rows, byte offset) of slices of a file, a reader and a writer.

    The writer gets an input file of the same format, whose types of ids it keeps, or None.
    """

    form: Callable[[Sequence[Path]], Form]
    slices: Callable[[Path, int], Iterator[tuple[int, int, int]]]
    reader: Callable[[], Reader]
    output: Callable[[Form, Path | None], Output]


def found(paths: Sequence[Path]) -> list[Path]:
    """The input's files: each path, or the files in a folder, sorted by name. Raises BulkError if none, or of both formats."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise BulkError(f"{path} does not exist: check the input's name")
        files += sorted(inner for inner in path.iterdir() if inner.suffix in SUFFIXES) if path.is_dir() else [path]
    unknown = [path for path in files if path.suffix not in SUFFIXES]
    if unknown:
        raise BulkError(f"{unknown[0]} is neither {' nor '.join(SUFFIXES)}: the suffix names the format, so rename the file")
    if not files:
        raise BulkError(f"no file ends in {', '.join(SUFFIXES)}: name files, or a folder that holds some")
    if len({path.suffix == PARQUET for path in files}) > 1:
        raise BulkError("the input mixes Parquet and JSON lines: give one kind at a time")
    return files


def form(paths: Sequence[Path]) -> Form:
    """The form of the rows: from the columns in Parquet, equal in all files, or from the first readable line.

    Raises BulkError if there is no form, or if a column's type can't be ranked.
    """
    return _format(paths[0]).form(paths)


def blocks(paths: Sequence[Path], most_rows: int) -> Iterator[Block]:
    """All rows, in order, as blocks of at most `most_rows`."""
    number = 0
    for path in paths:
        for first, rows, offset in _format(path).slices(path, most_rows):
            yield Block(number, path, first, rows, offset)
            number += 1


def reader(path: Path) -> Reader:
    """A reader for files of the path's format."""
    return _format(path).reader()


def output(path: Path, form: Form, source: Path) -> Output:
    """A writer for files of the path's format; ids get the type that they have in `source`, an input file. Raises BulkError."""
    if path.suffix not in SUFFIXES:
        raise BulkError(f"{path} ends in none of {', '.join(SUFFIXES)}: name the output with one of them")
    return _format(path).output(form, source if source.suffix == PARQUET else None)


def _format(path: Path) -> Format:
    if path.suffix != PARQUET:
        return Format(json_lines.form, json_lines.slices, json_lines.LinesReader, lambda *_: json_lines.LinesOutput())
    from scripts.bulk import parquet  # noqa: PLC0415 (an extra that JSON lines do not need)

    return Format(parquet.form, parquet.slices, parquet.ParquetReader, parquet.ParquetOutput)
