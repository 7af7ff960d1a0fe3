"""python -m pytest tests/unit/facade/triton/test_readiness_watch.py

The watch probes where there is no traffic, and finds that a model is gone, silent or back.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from facade.errors import DeadlineExceededError, RerankerError, ScoringError
from facade.triton.readiness import USUAL_PACE, Pace, Readiness
from facade.triton.silence import Patience
from tests.unit.facade.triton.probed_model import AWAY, Model, probe, score
from tests.unit.waiting import until

QUICK = Pace(probe_every_s=0.001)
SOON = replace(QUICK, patience=Patience(least_s=0.05, times=1.0, most_s=0.05))


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
