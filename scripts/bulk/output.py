"""What a run writes: the kind of file that its name says. Knows no rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from scripts.bulk.errors import BulkError
from scripts.bulk.json_lines import LinesOutput
from scripts.bulk.rows import Form
from scripts.bulk.source import KINDS, is_parquet


class Output(Protocol):
    """Writes parts, and joins them to the whole."""

    def write(self, path: Path, rows: Sequence[dict[str, Any]]) -> None:
        """A part, as a file of its own."""
        ...

    def join(self, parts: Iterator[Path], path: Path) -> None:
        """All parts in order, in memory one at a time."""
        ...


def output(path: Path, form: Form, source: Path) -> Output:
    """What writes files of the path's kind; `source`: a file of the input, whose ids the output has. Raises BulkError for other kinds."""
    if path.suffix not in KINDS:
        raise BulkError(f"{path} ends in none of {', '.join(KINDS)}: the output's name tells what to write")
    if not is_parquet(path):
        return LinesOutput()
    from scripts.bulk.parquet import ParquetOutput  # noqa: PLC0415 (an extra, which JSON lines do without)

    return ParquetOutput(form, source if is_parquet(source) else None)
