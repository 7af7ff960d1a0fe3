"""Whether a ranking would be answered just now, known from real inferences and never from Triton's own flag.

Triton calls itself ready while its Python stub is dead. Here every inference that succeeds is proof, one that fails for want of a model
disproves it at once, and where there is no traffic, a tiny inference of our own asks. Knows no HTTP.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from facade.admission import Work
from facade.errors import NotReadyError, OtherBundleError, RerankerError
from facade.pairs import TokenPairs
from facade.patience import Patience, Silence
from facade.triton import Scorer, Scores

LOG = logging.getLogger(__name__)

# With the silence that is believed, under the two seconds in which readiness has to follow the truth.
_PROBE_EVERY_S = 0.3
# A probe waits behind the batch that runs, hence the learning; the least is what Triton needs to say that a stub is dead, and some.
_PATIENCE = Patience(least_s=1.4, times=3.0, most_s=10.0)
# A probe that is given up loses its place, so it is only once nothing more is hoped for.
_PROBE_TIMEOUT_S = 10.0


@dataclass
class Readiness:
    """A Scorer around another one that watches what becomes of its inferences; `watch` asks where nobody else does."""

    scorer: Scorer
    engine: str = "unknown"
    draining: bool = False
    silence: Silence = field(default_factory=lambda: Silence(_PATIENCE), repr=False)
    _refusal: str | None = "starting: no inference has succeeded yet"
    _told_ready: bool = False
    _last_success: float = field(default=0.0, repr=False)

    @property
    def reason(self) -> str | None:
        """Why rankings are not answered; None while they are."""
        if self._refusal is not None:
            return self._refusal
        return f"the model has not answered for {self.silence.seconds:.1f} s" if self.silence.too_long else None

    @property
    def ready(self) -> bool:
        """True while rankings are answered and the server isn't about to stop."""
        return self.reason is None and not self.draining

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        """The inner scorer's logits."""
        try:
            scores = await self.scorer.score(pairs, timeout_s, work)
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
            quiet_until = self._last_success + _PROBE_EVERY_S
            if self.reason is None and time.monotonic() < quiet_until:
                await asyncio.sleep(quiet_until - time.monotonic())
            else:
                await self._ask()

    async def _ask(self) -> None:
        """One probe, and after one without success a pause."""
        answer = asyncio.ensure_future(self.probe(_PROBE_TIMEOUT_S))
        try:
            while not await self.silence.listen(answer):
                self._tell()
            answer.result()
        except NotReadyError as error:
            self._lost(error.message)
            await asyncio.sleep(_PROBE_EVERY_S)
        except RerankerError:
            await self.silence.sleep(_PROBE_EVERY_S)
            self._tell()
        except Exception as error:  # noqa: BLE001 (whatever a probe dies of, the watch must go on)
            LOG.error("the probe failed: %s", type(error).__name__)  # noqa: TRY400 (only the kind is news)
            self._lost("the model could not be asked; the server's log says why")
            await asyncio.sleep(_PROBE_EVERY_S)
        finally:
            answer.cancel()

    def _succeeded(self) -> None:
        self._last_success = time.monotonic()
        self.silence.ends()
        self._refusal = None
        self._tell()

    def _lost(self, refusal: str) -> None:
        self.silence.breaks_off()
        self._refusal = refusal
        self._tell()

    def _tell(self) -> None:
        """A line in the log where readiness changed."""
        reason = self.reason
        if self._told_ready == (reason is None):
            return
        self._told_ready = reason is None
        if reason is None:
            LOG.info("ready: a real inference succeeded, engine %s", self.engine)
        else:
            LOG.warning("not ready: %s", reason)
