"""python -m pytest tests/unit/serving/test_broken.py

What a watch over a model takes for broken: refusals in a row and silence without work, and not a long queue.
"""

import asyncio
import itertools
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, RerankerError, ScoringError
from facade.pairs import TokenPairs
from facade.triton import Scores
from scripts.serving.supervisor import until_broken
from tests.unit.waiting import PATIENCE_S, until

REFUSED = NotReadyError("the model can't be reached")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.serving.supervisor._PROBE_EVERY_S", 0.0)


@dataclass
class Model:
    """A model whose probes have these ends, one after the other; then it is as good as the last."""

    ends: list[RerankerError | None]
    probes: int = 0

    async def score(self, pairs: TokenPairs, timeout_s: float) -> Scores:  # noqa: ARG002
        raise AssertionError("only probes are asked for")

    async def probe(self, timeout_s: float) -> str:  # noqa: ARG002
        self.probes += 1
        fault = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if fault:
            raise fault
        return "engine"


async def no_executions() -> int:
    return 0


@pytest.mark.parametrize("fault", [REFUSED, ScoringError("failed")])
async def test_three_refusals_in_a_row_mean_broken(fault: RerankerError) -> None:
    model = Model([fault])
    reason = await asyncio.wait_for(until_broken(model, no_executions), PATIENCE_S)
    assert reason == f"refuses inference ({fault.message})"
    assert model.probes == 3


async def test_two_refusals_and_a_success_mean_nothing() -> None:
    model = Model([REFUSED, REFUSED, None, REFUSED, REFUSED, None, None])
    watch = asyncio.create_task(until_broken(model, no_executions))
    await until(lambda: model.probes >= 20)
    assert not watch.done()
    watch.cancel()
    await asyncio.wait([watch])


async def test_a_full_queue_does_not_mean_broken() -> None:
    model = Model([OverloadedError("Triton's queue is full")])
    watch = asyncio.create_task(until_broken(model, no_executions))
    await until(lambda: model.probes >= 20 or watch.done())
    assert not watch.done()
    watch.cancel()
    await asyncio.wait([watch])


async def test_silence_without_any_execution_means_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.serving.supervisor._HUNG_S", 0.05)
    model = Model([DeadlineExceededError("late")])
    assert await asyncio.wait_for(until_broken(model, no_executions), PATIENCE_S) == "has run no inference for 0 s"
    assert model.probes > 3


async def test_silence_without_statistics_means_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_statistics() -> int:
        raise REFUSED

    monkeypatch.setattr("scripts.serving.supervisor._HUNG_S", 0.05)
    assert "no inference" in await asyncio.wait_for(until_broken(Model([DeadlineExceededError("late")]), no_statistics), PATIENCE_S)


async def test_silence_of_a_model_that_executes_is_a_long_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    executed = 0

    async def executions() -> int:
        nonlocal executed
        executed += 1
        return executed

    looks = itertools.count(step=3.0)  # seconds that pass between two looks at the supervisor's clock
    monkeypatch.setattr("scripts.serving.supervisor.time", SimpleNamespace(monotonic=lambda: next(looks)))
    monkeypatch.setattr("scripts.serving.supervisor._HUNG_S", 5.0)
    model = Model([DeadlineExceededError("late")])
    watch = asyncio.create_task(until_broken(model, executions))
    await until(lambda: model.probes >= 20 or watch.done())
    assert not watch.done()
    watch.cancel()
    await asyncio.wait([watch])
