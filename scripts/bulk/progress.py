"""The progress bar of a run, in pairs and pairs per second. Knows counts only."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType

from tqdm import tqdm

from scripts.bulk.parts import Record

_LOG_EVERY_S = 10.0  # outside a terminal each update is a line of a log


class Progress:
    """A context manager. `rows` is the row count of the whole input; the pair count is estimated from the finished blocks."""

    def __init__(self, rows: int, done: Iterable[Record]) -> None:
        self._rows = rows
        self._seen_rows = self._seen_pairs = 0
        for record in done:
            self._see(record)
        every_s = 0.1 if sys.stderr.isatty() else _LOG_EVERY_S
        self._bar = tqdm(total=self._estimate(), initial=self._seen_pairs, unit=" pairs", mininterval=every_s, dynamic_ncols=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()

    def add(self, record: Record) -> None:
        """Count one more finished block."""
        self._see(record)
        self._bar.total = self._estimate()
        self._bar.update(record.pairs)

    def _see(self, record: Record) -> None:
        self._seen_rows += record.rows
        self._seen_pairs += record.pairs

    def _estimate(self) -> int | None:
        return round(self._seen_pairs * self._rows / self._seen_rows) if self._seen_rows else None
