"""Whether a ranking would be answered just now, known from real inferences and never from Triton's own flag.

Triton calls itself ready while its Python stub is dead. Here every inference that succeeds is proof, one that fails for want of a model
disproves it at once, and where there is no traffic, a tiny inference of our own asks. Knows no HTTP.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from facade.errors import NotReadyError, OtherBundleError, RerankerError
from facade.pairs import TokenPairs
from facade.triton import Scorer, Scores

LOG = logging.getLogger(__name__)

_PROBE_EVERY_S = 0.5
# Triton needs one second to say that a stub is dead.
_PROBE_TIMEOUT_S = 1.4
# A forward pass of one batch takes up to seconds on a slow processor, and the probe waits behind it: silence proves nothing before.
_SILENCE_S = 10.0


@dataclass
class Readiness:
    """A Scorer around another one that watches what becomes of its inferences; `watch` asks where nobody else does."""

    scorer: Scorer
    reason: str | None = "starting: no inference has succeeded yet"
    engine: str = "unknown"
    draining: bool = False
    _last_success: float = field(default=0.0, repr=False)

    @property
    def ready(self) -> bool:
        """True while rankings are answered and the server isn't about to stop."""
        return self.reason is None and not self.draining

    async def score(self, pairs: TokenPairs, timeout_s: float) -> Scores:
        """The inner scorer's logits."""
        try:
            scores = await self.scorer.score(pairs, timeout_s)
        except OtherBundleError:
            raise  # the caller renews its bundle; if that doesn't help, the next probe says so
        except NotReadyError as error:
            self._lost(error.message)
            raise
        self._succeeded()
        return scores

    async def probe(self, timeout_s: float) -> str:
        """The inner scorer's probe."""
        engine = await self.scorer.probe(timeout_s)
        self.engine = engine
        self._succeeded()
        return engine

    async def watch(self) -> None:
        """Keep `reason` true until cancelled."""
        while True:
            if self.reason is not None or time.monotonic() - self._last_success > _PROBE_EVERY_S:
                try:
                    await self.probe(_PROBE_TIMEOUT_S)
                except NotReadyError as error:
                    self._lost(error.message)
                except RerankerError as error:
                    if time.monotonic() - self._last_success > _SILENCE_S:
                        self._lost(error.message)
                except Exception as error:  # noqa: BLE001 (whatever a probe dies of, the watch must go on)
                    self._lost(f"the probe failed: {type(error).__name__}")
            await asyncio.sleep(_PROBE_EVERY_S)

    def _succeeded(self) -> None:
        self._last_success = time.monotonic()
        if self.reason is not None:
            self.reason = None
            LOG.info("ready: a real inference succeeded, engine %s", self.engine)

    def _lost(self, reason: str) -> None:
        if self.reason is None:
            LOG.warning("not ready: %s", reason)
        self.reason = reason
