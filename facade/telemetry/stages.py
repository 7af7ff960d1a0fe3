"""Seconds of each stage of one ranking. Does not know which stages exist."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from facade.telemetry import correlation


@dataclass
class Stages:
    """Seconds of each stage of one ranking, in order; the content of the Server-Timing header."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Time a block, also if it raises. The times of a repeated stage are added."""
        start = time.perf_counter()
        try:
            with correlation.span(stage):
                yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def split(self, stage: str, part: str, seconds: float) -> None:
        """Count `seconds` of a stage as the stage `part` instead; at most all of it."""
        self.seconds[part] = min(seconds, self.seconds[stage])
        self.seconds[stage] -= self.seconds[part]

    def header(self) -> str:
        """The Server-Timing header, in milliseconds."""
        return ", ".join(f"{stage};dur={seconds * 1e3:.2f}" for stage, seconds in self.seconds.items())
