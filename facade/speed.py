"""How many tokens a second the model computes when it has all the work it can take, learnt from the work that it does anyway.

An interval in which there was little to do says only that the model is at least so fast; one with plenty all along says how fast it is.
The first figure is the model's own, of the calls that it computed: an interval in which it worked for somebody else, or was only being
started, would be taken for its speed. Knows neither requests nor what follows from its figure.
"""

import math
import time
from collections.abc import Callable

# Some ten micro-batches on two cores: a batch more or less at either end is then a tenth of the figure.
_INTERVAL_S = 0.5
# Less than this is no first figure: what a request costs beside its computing would be most of it.
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
        self._best = 0.0
        self.begins()

    def begins(self) -> None:
        """There is work again, after there was none."""
        self._next()
        self._whole = True

    def computed(self, tokens: int, left: int, engine_s: float) -> None:
        """So many `tokens` more were computed, on which the model says it spent `engine_s` seconds; so many are `left` to be."""
        self._computed += tokens
        self._least_left = min(self._least_left, left)
        self._best = max(self._best, tokens / engine_s if engine_s else 0.0)
        seconds = self._clock() - self._since
        # Of what came after a pause and is done before the next one nothing was computed earlier: however short, the model is at least so fast.
        whole = self._whole and self.tokens_per_s is not None and seconds > 0
        if seconds >= _INTERVAL_S or (left == 0 and (seconds >= _SHORTEST_S or whole)):
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
            self.tokens_per_s = max(tokens_per_s, self._best)
        elif tokens_per_s > known or self._least_left >= known * _PLENTY_S:
            self.tokens_per_s = known + (tokens_per_s - known) * -math.expm1(-seconds / _MEMORY_S)
