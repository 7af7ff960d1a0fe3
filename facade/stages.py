"""How long each stage of one ranking took. Doesn't know which stages there are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from facade import correlation


@dataclass
class Stages:
    """Seconds of each stage of one ranking, in order: what the Server-Timing header tells."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str, span: str | None = None) -> Iterator[None]:
        """Time a block; in the request's trace it is called `span` (None: as the stage)."""
        start = time.perf_counter()
        with correlation.span(span or stage):
            yield
        self.seconds[stage] = time.perf_counter() - start

    def split(self, stage: str, part: str, seconds: float) -> None:
        """Tell `part` of a stage apart from the rest of it."""
        self.seconds[part] = min(seconds, self.seconds[stage])
        self.seconds[stage] -= self.seconds[part]

    def header(self) -> str:
        """The Server-Timing header, in milliseconds."""
        return ", ".join(f"{stage};dur={seconds * 1e3:.2f}" for stage, seconds in self.seconds.items())
