"""python -m pytest tests/unit/facade/triton/test_client_faults.py

The transport when the server refuses, fails, hangs or is away, and when the caller leaves: which error, what is asked again or stopped.
"""

import asyncio
import json
from dataclasses import replace

import grpc
import pytest
from tritonclient.grpc.service_pb2 import ModelInferRequest

from facade.errors import DeadlineExceededError, NotReadyError, OtherBundleError, OverloadedError, RerankerError, ScoringError
from facade.reranking.bundle import Bundle
from facade.reranking.tensors import OTHER_BUNDLE
from facade.scoring.scorer import TritonScorer, wait_until_scoring
from tests.conftest import free_ports
from tests.slowness import slowness
from tests.unit.facade.inference_server import AMPLE_S, LOGITS, PAIRS, Server, client, hangs, says, serving, works


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, "kestrel", NotReadyError),
        (grpc.StatusCode.NOT_FOUND, "kestrel: unknown model", NotReadyError),
        (grpc.StatusCode.INTERNAL, "Stub process 'kestrel' is not healthy.", NotReadyError),
        (grpc.StatusCode.UNIMPLEMENTED, "kestrel", OtherBundleError),
        (grpc.StatusCode.UNAVAILABLE, "This protocol is restricted, expecting header 'kestrel'", NotReadyError),
        (grpc.StatusCode.UNAVAILABLE, "[request id: kestrel] Exceeds maximum queue size", OverloadedError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "kestrel", DeadlineExceededError),
        (grpc.StatusCode.INTERNAL, "kestrel", ScoringError),
        (grpc.StatusCode.INVALID_ARGUMENT, "kestrel", ScoringError),
        (grpc.StatusCode.CANCELLED, "kestrel", ScoringError),
        (grpc.StatusCode.UNKNOWN, "kestrel", ScoringError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "kestrel", ScoringError),
    ],
)
async def test_each_status_becomes_an_error_of_our_own_without_the_servers_text(
    triton: Server, bundle: Bundle, status: grpc.StatusCode, text: str, expected: type[RerankerError]
) -> None:
    triton.behaviours = [says(status, text)]
    async with client(triton.target, bundle) as scorer:
        for call in (scorer.score(PAIRS, AMPLE_S), scorer.probe(AMPLE_S)):
            with pytest.raises(RerankerError) as failed:
                await call
            assert type(failed.value) is expected
            assert "kestrel" not in failed.value.message + json.dumps(failed.value.detail)


async def test_a_refusal_of_the_bundle_is_an_error_of_its_own(triton: Server, bundle: Bundle) -> None:
    triton.behaviours = [says(grpc.StatusCode.UNIMPLEMENTED, "this server has bundle x")]
    async with client(triton.target, bundle) as scorer:
        with pytest.raises(NotReadyError, match="another model bundle"):
            await scorer.probe(AMPLE_S)


@pytest.mark.parametrize(("text", "served"), [(f"{OTHER_BUNDLE} {'4f' * 32}, the call is for x", "4f" * 32), (OTHER_BUNDLE, None)])
async def test_a_refusal_says_which_bundle_is_served_where_the_server_names_it(
    triton: Server, bundle: Bundle, text: str, served: str | None
) -> None:
    triton.behaviours = [says(grpc.StatusCode.UNIMPLEMENTED, text)]
    async with client(triton.target, bundle) as scorer:
        with pytest.raises(OtherBundleError) as refused:
            await scorer.score(PAIRS, AMPLE_S)
    assert refused.value.served == served


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND])
async def test_a_server_that_stops_or_starts_is_asked_again(triton: Server, bundle: Bundle, status: grpc.StatusCode) -> None:
    triton.behaviours = [says(status), says(status), works]
    async with client(triton.target, bundle, chunk_tokens=1 << 20) as scorer:
        assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS
    assert len(triton.requests) == 3


async def test_several_servers_share_the_calls_and_stand_in_for_one_that_is_away(triton: Server, bundle: Bundle) -> None:
    async with serving() as other, client(f"ipv4:{triton.target},{other.target}", bundle) as scorer:
        await asyncio.wait_for(until_both_were_asked(scorer, triton, other), AMPLE_S)
        triton.behaviours = [says(grpc.StatusCode.UNAVAILABLE)]
        seen = len(triton.requests)
        for _ in range(6):
            assert await scorer.probe(AMPLE_S) == "engine fp32"
        assert len(triton.requests) > seen


async def until_both_were_asked(scorer: TritonScorer, *servers: Server) -> None:
    while not all(server.requests for server in servers):
        await scorer.probe(AMPLE_S)


@pytest.mark.parametrize("status", [grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED])
async def test_a_fault_that_would_only_come_again_is_not_asked_for_again(triton: Server, bundle: Bundle, status: grpc.StatusCode) -> None:
    triton.behaviours = [says(status)]
    async with client(triton.target, bundle, chunk_tokens=1 << 20) as scorer:
        with pytest.raises(RerankerError):
            await scorer.score(PAIRS, AMPLE_S)
    assert len(triton.requests) == 1


async def test_one_failed_chunk_fails_the_request_and_stops_the_others(triton: Server, bundle: Bundle) -> None:
    triton.behaviours = [hangs, says(grpc.StatusCode.INTERNAL), works]
    async with client(triton.target, bundle, chunk_tokens=20) as scorer:
        with pytest.raises(ScoringError):
            await scorer.score(PAIRS, AMPLE_S)
        await asyncio.wait_for(triton.cancelled.wait(), AMPLE_S)
    assert len(triton.requests) == 2


async def test_a_server_that_never_answers_runs_into_the_requests_own_deadline(triton: Server, bundle: Bundle) -> None:
    triton.behaviours = [works, hangs]
    limit_s = 0.2 * slowness()
    async with client(triton.target, bundle, chunk_tokens=1 << 20) as scorer:
        await scorer.score(PAIRS, AMPLE_S)  # connects, which is not the deadline's to wait for
        with pytest.raises(DeadlineExceededError, match="time was up"):
            await scorer.score(PAIRS, limit_s)
        await asyncio.wait_for(triton.cancelled.wait(), AMPLE_S)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
async def test_a_request_whose_time_is_up_makes_no_call(triton: Server, bundle: Bundle, timeout_s: float) -> None:
    async with client(triton.target, bundle) as scorer:
        with pytest.raises(DeadlineExceededError):
            await scorer.score(PAIRS, timeout_s)
    assert triton.requests == []


async def test_a_caller_that_leaves_is_known_to_the_server(triton: Server, bundle: Bundle) -> None:
    came = asyncio.Event()

    async def stays(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        came.set()
        await hangs(request, context)

    triton.behaviours = [stays]
    async with client(triton.target, bundle) as scorer:
        task = asyncio.create_task(scorer.score(PAIRS, AMPLE_S))
        await asyncio.wait_for(came.wait(), AMPLE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(triton.cancelled.wait(), AMPLE_S)


async def test_a_server_that_is_not_there_is_not_ready(bundle: Bundle) -> None:
    async with client(f"127.0.0.1:{free_ports(1)[0]}", bundle) as scorer:
        with pytest.raises(NotReadyError):
            await scorer.probe(AMPLE_S)


async def test_waiting_for_a_model_goes_on_over_every_fault_until_it_scores(triton: Server, bundle: Bundle) -> None:
    triton.behaviours = [
        says(grpc.StatusCode.INTERNAL),
        says(grpc.StatusCode.UNIMPLEMENTED),
        says(grpc.StatusCode.INTERNAL),
        works,
    ]
    async with client(triton.target, bundle) as scorer:
        assert await asyncio.wait_for(wait_until_scoring(scorer, poll_s=0.001), AMPLE_S) == "engine fp32"
    assert len(triton.requests) == 4


async def test_a_probe_follows_triton_to_another_bundle(triton: Server, bundle: Bundle) -> None:
    newer = replace(bundle, digest="newer")
    triton.behaviours = [says(grpc.StatusCode.UNIMPLEMENTED), works]
    async with client(triton.target, bundle, newer=(newer,)) as scorer:
        assert await scorer.probe(AMPLE_S) == "engine fp32"
    assert [request.parameters["bundle_digest"].string_param for request in triton.requests] == [bundle.digest, "newer"]


async def test_pairs_are_scored_under_their_own_bundle_s_digest(triton: Server, bundle: Bundle) -> None:
    pairs = replace(PAIRS, bundle=replace(bundle, digest="theirs"))
    async with client(triton.target, bundle) as scorer:
        await scorer.score(pairs, AMPLE_S)
    assert {request.parameters["bundle_digest"].string_param for request in triton.requests} == {"theirs"}
