"""python -m pytest tests/unit/facade/triton/test_connection.py

A connection that is dead is given up, and its calls are made again; one of a Triton that has much to do is not.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from tritonclient.grpc.service_pb2 import ModelInferRequest

from facade.errors import DeadlineExceededError, OtherBundleError
from facade.reranking.chunks import chunks
from facade.reranking.tensors import INFER_US
from facade.scoring.scorer import TritonScorer
from facade.triton.readiness import Readiness
from tests.black_hole import BlackHole, before
from tests.unit.facade.inference_server import AMPLE_S, BUNDLE, LOGITS, PAIRS, Server, client, hangs, says, works
from tests.unit.waiting import until

RECOVERED_S = 10.0  # far below the deadline; the promise is held by tests/hardening/test_black_hole.py, on a machine of its own


@asynccontextmanager
async def watched(scorer: TritonScorer) -> AsyncIterator[Readiness]:
    """As the facade has it: asked all the time whether it works."""
    readiness = Readiness(scorer)
    task = asyncio.create_task(readiness.watch())
    try:
        await until(lambda: readiness.ready)
        yield readiness
    finally:
        task.cancel()
        await asyncio.wait([task])


def is_probe(request: ModelInferRequest) -> bool:
    return all(output.name != INFER_US for output in request.outputs)


@pytest.fixture
async def hole(triton: Server) -> AsyncIterator[BlackHole]:
    async with before(triton.target) as proxy:
        yield proxy


async def test_calls_on_a_dead_connection_are_made_again_over_a_new_one(triton: Server, hole: BlackHole) -> None:
    async with client(hole.address, BUNDLE) as scorer, watched(scorer):
        triton.behaviours = [hangs]
        calls = [asyncio.create_task(scorer.score(PAIRS, AMPLE_S)) for _ in range(4)]
        await until(lambda: triton.in_flight >= len(calls))
        hole.swallow()
        triton.behaviours = [works]
        began = time.monotonic()
        answers = await asyncio.gather(*calls)
        assert time.monotonic() - began < RECOVERED_S
        assert [answer.logits.tolist() for answer in answers] == [LOGITS] * len(calls)
        assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS


async def test_a_triton_that_was_away_is_found_again_soon(triton: Server, hole: BlackHole) -> None:
    async with client(hole.address, BUNDLE) as scorer, watched(scorer) as readiness:
        hole.swallow(away=True)
        call = asyncio.create_task(scorer.score(PAIRS, AMPLE_S))
        await until(lambda: not readiness.ready)
        tries = hole.connections
        await until(lambda: hole.connections > tries)
        hole.restore()
        began = time.monotonic()
        assert (await call).logits.tolist() == LOGITS
        await until(lambda: readiness.ready)
        assert time.monotonic() - began < RECOVERED_S


async def test_two_probes_at_a_time_are_both_answered_over_a_new_connection(triton: Server, hole: BlackHole) -> None:
    async with client(hole.address, BUNDLE) as scorer:
        await scorer.score(PAIRS, AMPLE_S)
        hole.swallow()
        first = asyncio.create_task(scorer.probe(AMPLE_S))
        await until(lambda: hole.connections > 1)  # the first probe is repeated, and its answer soon takes the old connection's place
        assert set(await asyncio.gather(first, scorer.probe(AMPLE_S))) == {"engine fp32"}


async def test_a_triton_that_came_back_with_another_bundle_refuses_the_calls_of_a_dead_connection(triton: Server, hole: BlackHole) -> None:
    async with client(hole.address, BUNDLE) as scorer, watched(scorer):
        triton.behaviours = [hangs]
        call = asyncio.create_task(scorer.score(PAIRS, AMPLE_S))
        await until(lambda: triton.in_flight >= 1)
        hole.swallow()
        triton.behaviours = [says(grpc.StatusCode.UNIMPLEMENTED, "this server has bundle")]
        with pytest.raises(OtherBundleError):
            await asyncio.wait_for(call, RECOVERED_S)


async def test_the_deadline_of_a_call_goes_on_over_a_new_connection(triton: Server, hole: BlackHole) -> None:
    async with client(hole.address, BUNDLE) as scorer, watched(scorer):
        triton.behaviours = [hangs]
        call = asyncio.create_task(scorer.score(PAIRS, 4.0))
        await until(lambda: triton.in_flight >= 1)
        hole.swallow()
        began = time.monotonic()
        with pytest.raises(DeadlineExceededError):
            await call
        assert time.monotonic() - began < 4.0 + RECOVERED_S


async def test_a_triton_that_takes_long_keeps_its_connection_and_its_calls(triton: Server, hole: BlackHole) -> None:
    free = asyncio.Event()

    async def busy(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        await free.wait()

    async with client(hole.address, BUNDLE) as scorer, watched(scorer):
        triton.behaviours = [busy]
        call = asyncio.create_task(scorer.score(PAIRS, AMPLE_S))
        # Until the probe, too, has been asked over a second connection.
        await until(lambda: hole.connections == 2 and triton.in_flight == 4)
        free.set()
        assert (await call).logits.tolist() == LOGITS
        assert sum(not is_probe(request) for request in triton.requests) == len(list(chunks(PAIRS, 64))), "each chunk was sent once"


async def test_a_connection_over_which_others_are_answered_is_kept(triton: Server, hole: BlackHole) -> None:
    """A probe alone that is late, as behind much that is being sent, is no sign of a dead connection."""

    async def probes_hang_on_the_first_connection(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        if is_probe(request) and context.peer() == first:
            await asyncio.Event().wait()

    async with client(hole.address, BUNDLE) as scorer:
        await scorer.score(PAIRS, AMPLE_S)
        peers: set[str] = set()

        async def remember(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
            peers.add(context.peer())

        triton.behaviours = [remember]
        await scorer.score(PAIRS, AMPLE_S)
        (first,) = peers
        triton.behaviours = [probes_hang_on_the_first_connection]
        probe = asyncio.create_task(scorer.probe(AMPLE_S))
        while not probe.done():
            await scorer.score(PAIRS, AMPLE_S)
        assert await probe == "engine fp32"
        triton.behaviours = [remember]
        await scorer.score(PAIRS, AMPLE_S)
        assert peers == {first}
