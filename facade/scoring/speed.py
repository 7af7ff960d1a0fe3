"""How many tokens a second the model computes when it has all the work it can take, learnt from the work that it does anyway.

An interval with little work gives a lower bound of the speed; one with plenty of work throughout gives the speed itself. The time that the
model reports for a call gives a lower bound, too: without it, the first figure is too low while other clients share the model.
Knows neither requests nor what the figure is for.
"""

import math
import time
from collections.abc import Callable

# Some ten micro-batches on two cores, so that one more or less at either end changes the figure by a tenth.
_INTERVAL_S = 0.5
# Seconds of work that have to be left throughout an interval with plenty of work.
_PLENTY_S = 0.5
# Seconds of work after which an older figure counts for a third.
_MEMORY_S = 3.0


class Speed:
    """Tokens a second. `tokens_per_s` is None until there was plenty of work: no request has to be refused before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.tokens_per_s: float | None = None
        self._at_least = 0.0
        self._least_left = math.inf
        self.begins()

    def begins(self) -> None:
        """Start a new interval: there is work again, after there was none."""
        self._next()
        self._whole = True

    def computed(self, tokens: int, left: int, engine_s: float) -> None:
        """Count `tokens` that the model computed in `engine_s` seconds of its own; `left` tokens are still to be computed."""
        self._computed += tokens
        self._least_left = min(self._least_left, left)
        if engine_s > 0:
            self._at_least = max(self._at_least, tokens / engine_s)
        seconds = self._clock() - self._since
        # Work that came after a pause and is done gives a lower bound, however short it was.
        whole = self._whole and left == 0 and seconds > 0
        if seconds >= _INTERVAL_S or whole:
            self._learn(self._computed / seconds, seconds)
            self._next()

    def _next(self) -> None:
        self._since = self._clock()
        self._computed = 0
        self._least_left = math.inf
        self._whole = False

    def _learn(self, tokens_per_s: float, seconds: float) -> None:
        known = self.tokens_per_s
        if known is None:
            self._at_least = max(self._at_least, tokens_per_s)
            if self._least_left >= self._at_least * _PLENTY_S:
                self.tokens_per_s = self._at_least
        elif tokens_per_s > known or self._least_left >= known * _PLENTY_S:
            self.tokens_per_s = known + (tokens_per_s - known) * -math.expm1(-seconds / _MEMORY_S)
