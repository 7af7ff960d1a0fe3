"""python -m pytest tests/unit/facade/triton/test_fleet_faults.py

Where one of several servers fails or falls silent, another answers; where none can answer, the error says why.
"""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest
from tritonclient.grpc.service_pb2 import ModelInferRequest

from facade.errors import DeadlineExceededError, NotReadyError, OtherBundleError, OverloadedError, ScoringError
from facade.reranking.chunks import chunks
from tests.unit.facade.inference_server import AMPLE_S, BUNDLE, LOGITS, PAIRS, hangs, says, works
from tests.unit.facade.triton.fleets import HASTY, all_serve, fleet_of, rankings, servers, speaks
from tests.unit.waiting import until


@pytest.mark.parametrize(
    "fault",
    [says(grpc.StatusCode.UNAVAILABLE), says(grpc.StatusCode.INTERNAL, "Stub process is not healthy."), says(grpc.StatusCode.NOT_FOUND)],
    ids=["gone", "stub dead", "unloaded"],
)
async def test_a_server_that_fails_costs_no_answer_and_comes_back(fault: Callable[..., Awaitable[None]]) -> None:
    async with servers(2) as (good, bad), fleet_of([good.target, bad.target]) as (fleet, scorer):
        await all_serve(fleet, 2)
        bad.behaviours = [fault]
        for _ in range(10):
            assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS
        await until(lambda: fleet.states() == {"serving": 1, "other_bundle": 0, "away": 1})
        bad.behaviours = [works]
        await all_serve(fleet, 2)


async def test_a_server_that_falls_silent_costs_no_answer() -> None:
    silent = asyncio.Event()

    async def hangs(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        await silent.wait()

    async with servers(2) as (good, bad), fleet_of([good.target, bad.target], pace=HASTY) as (fleet, scorer):
        await all_serve(fleet, 2)
        bad.behaviours = [hangs]
        answers = await asyncio.gather(*(scorer.score(PAIRS, AMPLE_S) for _ in range(8)))
        assert all(answer.logits.tolist() == LOGITS for answer in answers)
        await until(lambda: fleet.states() == {"serving": 1, "other_bundle": 0, "away": 1})
        silent.set()


@pytest.mark.parametrize("known", [True, False], ids=["served before", "never served"])
async def test_a_call_leaves_one_that_is_silent_as_soon_as_another_one_is_back(known: bool) -> None:
    away = says(grpc.StatusCode.UNAVAILABLE)
    async with servers(2) as (other, silent):
        other.behaviours = [away]
        silent.behaviours = [works if known else hangs]
        async with fleet_of([silent.target, other.target], pace=HASTY) as (fleet, scorer):
            await until(lambda: fleet.states()["serving"] == known)
            silent.behaviours = [hangs]
            call = asyncio.create_task(scorer.score(PAIRS, AMPLE_S))
            await until(lambda: rankings(silent) and fleet.states()["away"] == 2)
            other.behaviours = [works]
            async with asyncio.timeout(AMPLE_S / 3):
                assert (await call).logits.tolist() == LOGITS


async def test_a_full_queue_sends_a_call_to_another_one() -> None:
    async with servers(2) as (good, full), fleet_of([good.target, full.target]) as (fleet, scorer):
        await all_serve(fleet, 2)
        full.behaviours = [says(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")]
        assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS


async def test_a_request_that_the_model_fails_on_is_not_tried_on_every_model() -> None:
    async with servers(2) as some, fleet_of([each.target for each in some]) as (fleet, _):
        await all_serve(fleet, 2)
        for each in some:
            each.behaviours = [says(grpc.StatusCode.INTERNAL, "row 0 could not be scored")]
        with pytest.raises(ScoringError):
            await fleet.infer(next(chunks(PAIRS, 1 << 20)), BUNDLE, AMPLE_S)
        assert sum(map(rankings, some)) == 1


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ((says(grpc.StatusCode.UNAVAILABLE),) * 2, NotReadyError),
        ((speaks("other"),) * 2, OtherBundleError),
        ((says(grpc.StatusCode.UNAVAILABLE), speaks("other")), OtherBundleError),
        ((says(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size"),) * 2, OverloadedError),
    ],
    ids=["away", "other bundle", "one of each", "full"],
)
async def test_where_no_server_can_answer_the_error_says_why(faults: tuple[Callable[..., Awaitable[None]], ...], error: type) -> None:
    async with servers(2) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 2)
        for each, fault in zip(some, faults, strict=True):
            each.behaviours = [fault]
        with pytest.raises(error):
            await scorer.score(PAIRS, AMPLE_S)


async def test_the_deadline_is_the_request_s_not_the_attempt_s() -> None:
    async with servers(2) as some, fleet_of([each.target for each in some]) as (fleet, scorer):
        await all_serve(fleet, 2)
        with pytest.raises(DeadlineExceededError):
            await scorer.score(PAIRS, 0.0)
