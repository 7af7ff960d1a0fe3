"""How many tokens a second the model computes when it has all the work it can take, learnt from the work that it does anyway.

An interval in which there was little to do says only that the model is at least so fast; one with plenty all along says how fast it is.
So does a call's own time in the model: at first, an interval in which the model worked for others would be taken for its speed.
Knows neither requests nor what follows from its figure.
"""

import math
import time
from collections.abc import Callable

# Some ten micro-batches on two cores: a batch more or less at either end is then a tenth of the figure.
_INTERVAL_S = 0.5
# Work for so long has to be left all the while for an interval to count as one with plenty.
_PLENTY_S = 0.5
# The seconds of work after which an older figure counts for a third.
_MEMORY_S = 3.0


class Speed:
    """`tokens_per_s` is None until there was plenty to do: nobody has to be refused before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.tokens_per_s: float | None = None
        self._at_least = 0.0
        self._least_left = math.inf
        self.begins()

    def begins(self) -> None:
        """There is work again, after there was none."""
        self._next()
        self._whole = True

    def computed(self, tokens: int, left: int, engine_s: float) -> None:
        """So many `tokens` more were computed, on which the model says it spent `engine_s` seconds; so many are `left` to be."""
        self._computed += tokens
        self._least_left = min(self._least_left, left)
        if engine_s > 0:
            self._at_least = max(self._at_least, tokens / engine_s)
        seconds = self._clock() - self._since
        # What came after a pause and is done before the next one was computed in between: however short, the model is at least so fast.
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
