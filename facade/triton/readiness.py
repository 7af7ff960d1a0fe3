"""Whether a ranking would be answered, known from real inferences and never from Triton's own flag.

Triton reports itself ready while its Python stub is dead. Here an inference that succeeds proves readiness, and one that finds no model
disproves it at once. Where there is no traffic, a tiny inference, the probe, asks. Knows no HTTP.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from facade.background import repeat
from facade.errors import NotReadyError, OtherBundleError, RerankerError
from facade.triton.silence import Patience, Silence

Answer = TypeVar("Answer")

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """The timing of a watch, in seconds. Readiness has to follow the truth within two: `probe_every_s` and the least patience are less.

    `probe_every_s`: between two probes without traffic. `engine_every_s`: between two probes with traffic, which read the engine: a new
    version of the model may change it. `timeout_s`: of a probe, as long as the greatest patience, since a probe that is given up loses its
    place in the queue. `patience`: at least a little more than Triton needs to report a dead stub. More is learnt from how long answers
    take, since a probe waits behind the running batch.
    """

    probe_every_s: float = 0.3
    engine_every_s: float = 2.0
    timeout_s: float = 10.0
    patience: Patience = Patience(least_s=1.4, times=3.0, most_s=10.0)


USUAL_PACE = Pace()


class Probed(Protocol):
    """A model that can be probed."""

    async def probe(self, timeout_s: float) -> str:
        """Run one real, tiny inference and return the engine's name, or raise a RerankerError."""
        ...


@dataclass
class Readiness:
    """Readiness by the outcome of a model's inferences; `watch` probes where there is no traffic, and regularly to read the engine.

    `name`: the model's in the log, where there are several. `lost` is set while the model is not ready. `last_success`: by `clock`.
    """

    model: Probed
    name: str = ""
    engine: str = "unknown"
    draining: bool = False
    pace: Pace = USUAL_PACE
    clock: Callable[[], float] = time.monotonic
    lost: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    silence: Silence = field(init=False, repr=False)
    last_success: float = field(default=0.0, repr=False)
    _refusal: str | None = field(default="starting: no inference has succeeded yet", init=False)
    _logged_ready: bool = field(default=False, init=False)
    _engine_read: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        self.silence = Silence(self.pace.patience, self.clock)
        self.lost.set()

    @property
    def reason(self) -> str | None:
        """Why rankings are not answered; None while they are."""
        if self._refusal is not None:
            return self._refusal
        return f"the model has not answered for {self.silence.seconds:.1f} s" if self.silence.too_long else None

    @property
    def ready(self) -> bool:
        """True while rankings are answered and the server is not draining."""
        return self.reason is None and not self.draining

    async def proven_by(self, inference: Awaitable[Answer]) -> Answer:
        """The inference's answer. It proves readiness; a NotReadyError disproves it, and other errors say nothing of it."""
        try:
            answer = await inference
        except OtherBundleError:
            raise  # the caller renews its bundle; if that doesn't help, the next probe shows it
        except NotReadyError as error:
            self._failed(error.message)
            raise
        self._succeeded()
        return answer

    async def probe(self, timeout_s: float) -> str:
        """The engine's name by a probe of the model, which proves readiness."""
        engine = await self.model.probe(timeout_s)
        self.engine = engine
        self._engine_read = self.clock()
        self._succeeded()
        return engine

    async def watch(self) -> None:
        """Keep `reason` true until cancelled."""
        await repeat(f"the watch of {self.name or 'Triton'}", self._step, self.pace.probe_every_s, at_once=True)

    async def _step(self) -> None:
        quiet_until = min(self.last_success + self.pace.probe_every_s, self._engine_read + self.pace.engine_every_s)
        quiet_s = quiet_until - self.clock()
        if self.reason is None and quiet_s > 0:
            await asyncio.sleep(quiet_s)
        else:
            await self._ask()

    async def _ask(self) -> None:
        """Probe once, and pause after a probe without success."""
        answer = asyncio.ensure_future(self.probe(self.pace.timeout_s))
        try:
            while not await self.silence.wait_for(answer):
                self._log_change()
            answer.result()
        except NotReadyError as error:
            self._failed(error.message)
            await asyncio.sleep(self.pace.probe_every_s)
        except RerankerError:
            await self.silence.sleep(self.pace.probe_every_s)
            self._log_change()
        except Exception as error:  # noqa: BLE001 (the watch must go on after any error of a probe)
            LOG.error("the probe failed: %s", type(error).__name__)  # noqa: TRY400 (the error's text could quote a request)
            self._failed("the model could not be asked; the server's log says why")
            await asyncio.sleep(self.pace.probe_every_s)
        finally:
            answer.cancel()

    def _succeeded(self) -> None:
        self.last_success = self.clock()
        self.silence.succeeded()
        self._refusal = None
        self._log_change()

    def _failed(self, refusal: str) -> None:
        self.silence.refused()
        self._refusal = refusal
        self._log_change()

    def _log_change(self) -> None:
        """Log that readiness has changed, where it has."""
        reason = self.reason
        if self._logged_ready == (reason is None):
            return
        self._logged_ready = reason is None
        named = f"{self.name} " if self.name else ""
        if reason is None:
            self.lost.clear()
            LOG.info("%sready: a real inference succeeded, engine %s", named, self.engine)
        else:
            self.lost.set()
            LOG.warning("%snot ready: %s", named, reason)
