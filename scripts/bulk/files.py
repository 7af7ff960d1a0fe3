"""The files of a run: the input as blocks of rows, and the output. A file's format is known by its suffix.

A block never spans two files. Rows count from 1 in each file; in JSON lines a row is a line. Does not know how rows are scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scripts.bulk import delimited, gathered, json_lines, trec_run
from scripts.bulk.errors import BulkError
from scripts.bulk.records import CSV, TSV
from scripts.bulk.rows import Block, Form, Rows

PARQUET = ".parquet"
KINDS = {PARQUET: "Parquet", ".jsonl": "JSON lines", ".ndjson": "JSON lines", CSV: "CSV", TSV: "TSV"}
PASSED_AND_COMPUTED = {"id", *Form.RANKINGS.computed, *Form.PAIRS.computed}


class Reader(Protocol):
    """Reads blocks of files of one format; consecutive blocks of a file cost one pass over it."""

    def read(self, block: Block) -> Rows:
        """The block's rows."""
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
    """How a file format is read: the rows' form, a check that fields exist, a file's slices, and a reader that also reads other fields.

    A slice is what a Block has after its file: (first row, rows, byte offset, line).
    """

    form: Callable[[Sequence[Path]], Form]
    require_fields: Callable[[Sequence[Path], Sequence[str]], None]
    slices: Callable[[Path, int], Iterator[tuple[int, ...]]]
    reader: Callable[[Sequence[str]], Reader]


def found(paths: Sequence[Path]) -> list[Path]:
    """The input's files: each path, or the files in a folder, sorted by name. Raises BulkError if none, or of several formats."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise BulkError(f"{path} does not exist: check the input's name")
        files += sorted(inner for inner in path.iterdir() if inner.suffix in KINDS) if path.is_dir() else [path]
    unknown = [path for path in files if path.suffix not in KINDS]
    if unknown:
        raise BulkError(
            f"{unknown[0]} is neither {' nor '.join(KINDS)}: the suffix names the format, so rename the file; a TREC run also needs "
            "--queries and --corpus"
        )
    if not files:
        raise BulkError(f"no file ends in {', '.join(KINDS)}: name files, or a folder that holds some")
    if len(kinds := sorted({KINDS[path.suffix] for path in files})) > 1:
        raise BulkError(f"the input mixes {' and '.join(kinds)}: give one kind at a time")
    return files


def form(paths: Sequence[Path], keep: Sequence[str] = ()) -> Form:
    """The form of the rows: from the columns, equal in all files, or in JSON lines from the first readable line.

    Raises BulkError if there is no form, if a column's type can't be ranked, or if a field of `keep` is missing.
    """
    file_format = _format(paths[0])
    found = file_format.form(paths)
    if taken := PASSED_AND_COMPUTED & set(keep):
        raise BulkError(f"--keep {min(taken)}: the output has a column of this name already; rename the input's, or leave it out")
    file_format.require_fields(paths, keep)
    return found


def blocks(paths: Sequence[Path], most_rows: int) -> Iterator[Block]:
    """All rows, in order, as blocks of at most `most_rows`."""
    number = 0
    for path in paths:
        for position in _format(path).slices(path, most_rows):
            yield Block(number, path, *position)
            number += 1


def reader(path: Path, keep: Sequence[str] = ()) -> Reader:
    """A reader for files of the path's format, which also reads the fields `keep`."""
    return _format(path).reader(keep)


def output(path: Path, form: Form, source: Path, keep: Sequence[str] = ()) -> Output:
    """A writer for files of the path's format. `source` is an input file; from Parquet to Parquet its columns keep their types.

    Raises BulkError if the format can't hold the rows.
    """
    if path.suffix in trec_run.SUFFIXES or source.suffix == gathered.SUFFIX:
        return _output_of_run(path, source)
    if path.suffix not in KINDS:
        raise BulkError(f"{path} ends in none of {', '.join(KINDS)}: name the output with one of them")
    if path.suffix == PARQUET:
        from scripts.bulk import parquet  # noqa: PLC0415 (an extra that other formats do not need)

        return parquet.ParquetOutput(form, source if source.suffix == PARQUET else None, keep)
    return json_lines.LinesOutput() if KINDS[path.suffix] == "JSON lines" else delimited.DelimitedOutput(path, form, keep)


def _output_of_run(path: Path, source: Path) -> Output:
    if source.suffix != gathered.SUFFIX:
        raise BulkError(f"{path}: only a TREC run becomes a TREC run: give a run with --queries and --corpus, or name the output .jsonl")
    if path.suffix in trec_run.SUFFIXES:
        return trec_run.RunOutput()
    if KINDS.get(path.suffix) == "JSON lines":
        return json_lines.LinesOutput()
    raise BulkError(
        f"{path}: a reranked run is a TREC run ({', '.join(trec_run.SUFFIXES)}) or JSON lines: name the output with one of them"
    )


def _format(path: Path) -> Format:
    if path.suffix == PARQUET:
        from scripts.bulk import parquet  # noqa: PLC0415 (an extra that other formats do not need)

        return Format(parquet.form, parquet.require_fields, parquet.slices, parquet.ParquetReader)
    if path.suffix == gathered.SUFFIX:
        return Format(lambda _: Form.RANKINGS, lambda *_: None, gathered.slices, lambda _: gathered.GatheredReader())
    if path.suffix in (CSV, TSV):
        return Format(delimited.form, delimited.require_fields, delimited.slices, lambda _: delimited.DelimitedReader())
    return Format(json_lines.form, json_lines.require_fields, json_lines.slices, lambda _: json_lines.LinesReader())
