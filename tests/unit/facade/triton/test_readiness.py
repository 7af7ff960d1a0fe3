"""python -m pytest tests/unit/facade/triton/test_readiness.py

Ready is what inferences have shown: a success proves it, and a refusal disproves it at once. Silence: test_readiness_watch.py.
"""

from collections.abc import Awaitable, Callable

import pytest

from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, RerankerError, ScoringError
from facade.triton.readiness import Readiness
from tests.unit.facade.triton.probed_model import AWAY, Model, probe, score


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
