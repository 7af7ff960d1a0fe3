"""How long something may leave a question unanswered before it counts as hung: a few times the longest that it lately took, within limits.

So a model whose batches take seconds isn't called dead, and the silence of one that answers in milliseconds is believed soon. Knows
neither what is asked nor what follows.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_TICK_S = 0.1
# Beyond this a tick's lateness counts no more: while this process itself was stopped or busy, an answer may have lain unread.
_LATE_S = 0.15
# How fast a long silence is forgotten: the next big request may come minutes after the last one.
_HALF_LIFE_S = 60.0


@dataclass(frozen=True)
class Patience:
    """Seconds: `times` the longest silence of late, but at least `least_s` and at most `most_s`; `most_s` before anything was seen."""

    least_s: float
    times: float
    most_s: float


class Silence:
    """The seconds that questions have been open since the last success, and whether that is longer than usual."""

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._longest: float | None = None  # as it was at `_seen`
        self._seen = 0.0
        self.seconds = 0.0

    async def listen(self, answer: asyncio.Future[Any]) -> bool:
        """Wait for the answer for a moment, which counts; whether it is there."""
        began = self._clock()
        done, _ = await asyncio.wait({answer}, timeout=_TICK_S)
        self._count(began, _TICK_S)
        return bool(done)

    async def sleep(self, seconds: float) -> None:
        """Let time pass between a question without success and the next one, which counts, too."""
        began = self._clock()
        await asyncio.sleep(seconds)
        self._count(began, seconds)

    def ends(self) -> None:
        """A success: what it took is what may be expected."""
        self._longest = max(self.seconds, self._remembered())
        self._seen = self._clock()
        self.seconds = 0.0

    def breaks_off(self) -> None:
        """A refusal: it was answered, and says nothing of how long answers take."""
        self.seconds = 0.0

    @property
    def patience_s(self) -> float:
        """The seconds that are not yet too long."""
        if self._longest is None:
            return self._patience.most_s
        return min(max(self._patience.least_s, self._patience.times * self._remembered()), self._patience.most_s)

    @property
    def too_long(self) -> bool:
        """Whether it counts as hung."""
        return self.seconds > self.patience_s

    def _count(self, began: float, planned_s: float) -> None:
        self.seconds += min(self._clock() - began, planned_s + _LATE_S)

    def _remembered(self) -> float:
        forgotten: float = 0.5 ** ((self._clock() - self._seen) / _HALF_LIFE_S)
        return (self._longest or 0.0) * forgotten
