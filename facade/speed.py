"""How many tokens a second the model computes when it has all the work it can take, learnt from the work that it does anyway.

An interval in which there was little to do says only that the model is at least so fast; one with plenty all along says how fast it is.
Knows neither requests nor what follows from its figure.
"""

import math
import time
from collections.abc import Callable

# Some ten micro-batches on two cores: a batch more or less at either end is then a tenth of the figure.
_INTERVAL_S = 0.5
# Less than this is not measured at all: what a request costs beside its computing would be most of it.
_SHORTEST_S = 0.25
# Work for so long has to be left all the while for an interval to count as one with plenty.
_PLENTY_S = 0.5
# The seconds of work after which an older figure counts for a third.
_MEMORY_S = 3.0


class Speed:
    """`tokens_per_s` is None until some work took a quarter of a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.tokens_per_s: float | None = None
        self.begins()

    def begins(self) -> None:
        """There is work again, after there was none."""
        self._since = self._clock()
        self._computed = 0
        self._least_left = math.inf

    def computed(self, tokens: int, left: int) -> None:
        """So many `tokens` more were computed; so many are `left` to be."""
        self._computed += tokens
        self._least_left = min(self._least_left, left)
        seconds = self._clock() - self._since
        if seconds >= _INTERVAL_S or (left == 0 and seconds >= _SHORTEST_S):
            self._learn(self._computed / seconds, seconds)
            self.begins()

    def _learn(self, tokens_per_s: float, seconds: float) -> None:
        known = self.tokens_per_s
        if known is None:
            self.tokens_per_s = tokens_per_s
        elif tokens_per_s > known or self._least_left >= known * _PLENTY_S:
            self.tokens_per_s = known + (tokens_per_s - known) * -math.expm1(-seconds / _MEMORY_S)
