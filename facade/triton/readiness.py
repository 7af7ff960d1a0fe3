"""Whether a ranking would be answered just now, known from real inferences and never from Triton's own flag.

Triton calls itself ready while its Python stub is dead. Here every inference that succeeds is proof, one that fails for want of a model
disproves it at once, and where there is no traffic, a tiny inference of our own asks. Knows no HTTP.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from facade.background import repeat
from facade.errors import NotReadyError, OtherBundleError, RerankerError
from facade.triton.silence import Patience, Silence

Answer = TypeVar("Answer")

LOG = logging.getLogger(__name__)

# With the silence that is believed, under the two seconds in which readiness has to follow the truth.
_PROBE_EVERY_S = 0.3
# A probe learns the engine, too, which a new version of the model may change while rankings succeed: it is asked so often at least.
_LEARN_EVERY_S = 2.0
# A probe waits behind the batch that runs, hence the learning; the least is what Triton needs to say that a stub is dead, and some.
_PATIENCE = Patience(least_s=1.4, times=3.0, most_s=10.0)
# A probe that is given up loses its place, so it is only once nothing more is hoped for.
_PROBE_TIMEOUT_S = 10.0


class Probed(Protocol):
    """What can be asked whether it works."""

    async def probe(self, timeout_s: float) -> str:
        """Run one real, tiny inference and return the engine's name, or raise a RerankerError."""
        ...


@dataclass
class Readiness:
    """Readiness by the outcome of a model's inferences; `watch` sends a probe where there is no traffic, and regularly to learn the engine.

    `name` is what the log calls the model, where there are several. `lost` is set while it isn't ready.
    """

    model: Probed
    name: str = ""
    engine: str = "unknown"
    draining: bool = False
    lost: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    silence: Silence = field(default_factory=lambda: Silence(_PATIENCE), repr=False)
    _refusal: str | None = "starting: no inference has succeeded yet"
    _told_ready: bool = False
    _last_success: float = field(default=0.0, repr=False)
    _learnt: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        self.lost.set()

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

    async def proven_by(self, inference: Awaitable[Answer]) -> Answer:
        """The inference's answer, which is proof; and where it fails for want of a model, so is that."""
        try:
            answer = await inference
        except OtherBundleError:
            raise  # the caller renews its bundle; if that doesn't help, the next probe says so
        except NotReadyError as error:
            self._lost(error.message)
            raise
        self._succeeded()
        return answer

    async def probe(self, timeout_s: float) -> str:
        """The model's own."""
        engine = await self.model.probe(timeout_s)
        self.engine = engine
        self._learnt = time.monotonic()
        self._succeeded()
        return engine

    async def watch(self) -> None:
        """Keep `reason` true until cancelled."""
        await repeat(f"the watch of {self.name or 'Triton'}", self._step, _PROBE_EVERY_S, at_once=True)

    async def _step(self) -> None:
        quiet_until = min(self._last_success + _PROBE_EVERY_S, self._learnt + _LEARN_EVERY_S)
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
        named = f"{self.name} " if self.name else ""
        if reason is None:
            self.lost.clear()
            LOG.info("%sready: a real inference succeeded, engine %s", named, self.engine)
        else:
            self.lost.set()
            LOG.warning("%snot ready: %s", named, reason)
