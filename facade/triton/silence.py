"""How long a question may stay unanswered before the other side counts as hung: a few times the longest recent silence, within limits.

So a model whose batches take seconds does not count as dead, and one that answers in milliseconds is known to hang soon. Knows neither the
questions nor what follows from a silence.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_TICK_S = 0.1
# A tick that is later than this counts as this late: while this process was stopped or busy, an answer may have been there unread.
_LATE_S = 0.15
# In which a long silence is half forgotten: the next large request may come minutes after the last one.
_HALF_LIFE_S = 60.0


@dataclass(frozen=True)
class Patience:
    """Seconds: `times` the longest recent silence, at least `least_s` and at most `most_s`; `most_s` before the first success."""

    least_s: float
    times: float
    most_s: float


class Silence:
    """The seconds for which questions have been open since the last success, and whether that is longer than usual."""

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._longest: float | None = None  # as it was at `_seen`
        self._seen = 0.0
        self.seconds = 0.0

    async def wait_for(self, answer: asyncio.Future[Any]) -> bool:
        """Wait for the answer for a tick, which counts as silence; whether the answer is there."""
        began = self._clock()
        done, _ = await asyncio.wait({answer}, timeout=_TICK_S)
        self._count(began, _TICK_S)
        return bool(done)

    async def sleep(self, seconds: float) -> None:
        """Pause between a question without success and the next one; the pause counts as silence."""
        began = self._clock()
        await asyncio.sleep(seconds)
        self._count(began, seconds)

    def succeeded(self) -> None:
        """End the silence by a success: its length is what may be expected."""
        self._longest = max(self.seconds, self._remembered())
        self._seen = self._clock()
        self.seconds = 0.0

    def refused(self) -> None:
        """End the silence by a refusal, which says nothing of how long answers take."""
        self.seconds = 0.0

    @property
    def patience_s(self) -> float:
        """The longest silence, in seconds, that is not too long."""
        if self._longest is None:
            return self._patience.most_s
        return min(max(self._patience.least_s, self._patience.times * self._remembered()), self._patience.most_s)

    @property
    def too_long(self) -> bool:
        """Whether the other side counts as hung."""
        return self.seconds > self.patience_s

    def _count(self, began: float, planned_s: float) -> None:
        self.seconds += min(self._clock() - began, planned_s + _LATE_S)

    def _remembered(self) -> float:
        forgotten: float = 0.5 ** ((self._clock() - self._seen) / _HALF_LIFE_S)
        return (self._longest or 0.0) * forgotten
