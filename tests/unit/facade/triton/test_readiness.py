"""python -m pytest tests/unit/facade/triton/test_readiness.py

Ready is what inferences have shown: a success proves it, a refusal disproves it at once, silence once it is longer than usual.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, RerankerError, ScoringError
from facade.triton.readiness import USUAL_PACE, Pace, Readiness
from facade.triton.silence import Patience
from tests.unit.waiting import until

AWAY = NotReadyError("Triton is not reachable")
QUICK = Pace(probe_every_s=0.001)
SOON = replace(QUICK, patience=Patience(least_s=0.05, times=1.0, most_s=0.05))


@dataclass
class Model:
    """A model that answers as the test says."""

    fault: RerankerError | None = None
    hangs: bool = False
    free: asyncio.Event = field(default_factory=asyncio.Event)
    probes: int = 0
    engine: str = "engine fp32"

    async def infer(self) -> float:
        if self.fault:
            raise self.fault
        return 0.5

    async def probe(self, timeout_s: float) -> str:  # noqa: ARG002
        self.probes += 1
        if self.hangs:
            await self.free.wait()
        if self.fault:
            raise self.fault
        return self.engine


@asynccontextmanager
async def watching(readiness: Readiness) -> AsyncIterator[None]:
    task = asyncio.create_task(readiness.watch())
    try:
        yield
    finally:
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


async def more_probes(model: Model, count: int = 3) -> None:
    seen = model.probes
    await until(lambda: model.probes >= seen + count)


async def score(readiness: Readiness) -> object:
    return await readiness.proven_by(readiness.model.infer())  # type: ignore[attr-defined]


async def probe(readiness: Readiness) -> object:
    return await readiness.probe(1.0)


def test_nothing_is_ready_before_an_inference_has_succeeded() -> None:
    readiness = Readiness(Model())
    assert not readiness.ready
    assert readiness.reason
    assert readiness.engine == "unknown"


@pytest.mark.parametrize("infer", [score, probe])
async def test_an_inference_that_succeeds_is_proof(infer: Callable[[Readiness], Awaitable[object]]) -> None:
    readiness = Readiness(Model())
    await infer(readiness)
    assert readiness.ready


async def test_answers_and_engine_are_the_model_s_own() -> None:
    readiness = Readiness(Model())
    assert await score(readiness) == 0.5
    assert await readiness.probe(1.0) == readiness.engine == "engine fp32"


async def test_a_ranking_that_finds_no_model_disproves_readiness_at_once() -> None:
    readiness = Readiness(Model())
    await readiness.probe(1.0)
    readiness.model = Model(AWAY)
    with pytest.raises(NotReadyError):
        await score(readiness)
    assert not readiness.ready
    assert readiness.reason == AWAY.message


@pytest.mark.parametrize("fault", [ScoringError("failed"), OverloadedError("full"), DeadlineExceededError("late")])
async def test_other_faults_of_a_ranking_say_nothing_of_readiness(fault: RerankerError) -> None:
    readiness = Readiness(Model())
    await readiness.probe(1.0)
    readiness.model = Model(fault)
    with pytest.raises(type(fault)):
        await score(readiness)
    assert readiness.ready


async def test_a_server_that_drains_is_not_ready_whatever_its_model_says() -> None:
    readiness = Readiness(Model())
    await readiness.probe(1.0)
    readiness.draining = True
    assert not readiness.ready


async def test_the_watch_finds_a_model_that_comes_goes_and_comes_back() -> None:
    model = Model(AWAY)
    readiness = Readiness(model, pace=QUICK)
    async with watching(readiness):
        await more_probes(model)
        assert not readiness.ready
        model.fault = None
        await until(lambda: readiness.ready)
        assert readiness.engine == "engine fp32"
        model.fault = AWAY
        await until(lambda: not readiness.ready)
        assert readiness.reason == AWAY.message
        model.fault = None
        await until(lambda: readiness.ready)


@pytest.mark.parametrize("fault", [DeadlineExceededError("late"), ScoringError("failed")])
async def test_a_probe_without_success_proves_nothing_at_once(fault: RerankerError) -> None:
    model = Model()
    readiness = Readiness(model, pace=replace(QUICK, patience=Patience(least_s=60.0, times=1.0, most_s=60.0)))
    await readiness.probe(1.0)
    async with watching(readiness):
        model.fault = fault
        await more_probes(model)
        assert readiness.ready


@pytest.mark.parametrize("fault", [DeadlineExceededError("late"), ScoringError("failed")])
async def test_probes_that_go_on_without_success_disprove_readiness(fault: RerankerError) -> None:
    model = Model()
    readiness = Readiness(model, pace=SOON)
    await readiness.probe(1.0)
    async with watching(readiness):
        model.fault = fault
        await until(lambda: not readiness.ready)
        assert "has not answered for" in (readiness.reason or "")
        model.fault = None
        await until(lambda: readiness.ready)


async def test_the_pauses_between_probes_without_success_are_counted() -> None:
    model = Model()
    readiness = Readiness(model, pace=Pace(probe_every_s=0.05, patience=Patience(least_s=0.2, times=1.0, most_s=0.2)))
    await readiness.probe(1.0)
    async with watching(readiness):
        model.fault = ScoringError("failed")
        await until(lambda: not readiness.ready)
    assert model.probes < 20


async def test_a_probe_that_is_never_answered_disproves_readiness_before_it_is_given_up() -> None:
    model = Model()
    readiness = Readiness(model, pace=SOON)
    await readiness.probe(1.0)
    async with watching(readiness):
        model.hangs = True
        await until(lambda: not readiness.ready)
        asked = model.probes
        await asyncio.sleep(0.2)
        assert model.probes == asked
        model.free.set()
        await until(lambda: readiness.ready)


async def test_a_ranking_that_succeeds_ends_the_silence_of_a_probe() -> None:
    model = Model()
    readiness = Readiness(model, pace=SOON)
    await readiness.probe(1.0)
    async with watching(readiness):
        model.hangs = True
        await until(lambda: not readiness.ready)
        await score(readiness)
        assert readiness.ready


async def test_readiness_follows_the_truth_within_two_seconds() -> None:
    """The real limits, at twice the speed: a model that has answered at once, and never answers again.

    Seconds in which this process is stalled are no silence, so silence is measured here. tests/hardening/test_recovery.py measures time.
    """
    model = Model()
    readiness = Readiness(model, pace=USUAL_PACE, clock=lambda: 2.0 * time.monotonic())
    async with watching(readiness):
        await until(lambda: readiness.ready)
        model.hangs = True
        await until(lambda: not readiness.ready)
        assert 1.0 < readiness.silence.seconds < 2.0


async def test_the_engine_is_read_while_traffic_succeeds() -> None:
    model = Model()
    readiness = Readiness(model, pace=replace(QUICK, engine_every_s=0.01))
    await score(readiness)
    readiness.last_success = time.monotonic() + 3600  # as if rankings succeeded all the time
    async with watching(readiness):
        await until(lambda: readiness.engine == "engine fp32")
        model.engine = "engine int8"
        await until(lambda: readiness.engine == "engine int8")


async def test_traffic_that_succeeds_is_probed_for_nothing_but_the_engine() -> None:
    model = Model()
    readiness = Readiness(model, pace=QUICK)
    await probe(readiness)
    # As if rankings succeeded all the time from here on.
    readiness.last_success = time.monotonic() + 3600
    async with watching(readiness):
        await asyncio.sleep(0.02)
    assert model.probes == 1


async def test_a_watch_that_fails_itself_goes_on() -> None:
    faults: list[Exception] = []

    def clock() -> float:
        if faults:
            raise faults.pop()
        return time.monotonic()

    model = Model()
    readiness = Readiness(model, pace=SOON, clock=clock)
    async with watching(readiness):
        await until(lambda: readiness.ready)
        faults.append(RuntimeError("unforeseen"))
        await until(lambda: not faults)
        model.fault = AWAY
        await until(lambda: not readiness.ready)


async def test_a_probe_that_dies_of_something_unforeseen_does_not_end_the_watch() -> None:
    model = Model(TypeError("unforeseen"))  # type: ignore[arg-type]
    readiness = Readiness(model, pace=QUICK)
    async with watching(readiness):
        await more_probes(model)
        assert "could not be asked" in (readiness.reason or "")
        model.fault = None
        await until(lambda: readiness.ready)
