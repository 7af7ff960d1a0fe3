"""python -m pytest tests/unit/facade/test_triton.py

The transport against a real gRPC server on loopback that speaks Triton's protocol and answers as each test says.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse
from tritonclient.utils import serialize_byte_tensor

from facade import triton
from facade.bundle import Bundle
from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, RerankerError, ScoringError
from facade.pairs import TokenPairs
from facade.triton import TritonScorer, wait_until_scoring
from tests.conftest import free_ports

# Any deadline that no test is about; generous, since the machine may be busy.
AMPLE_S = 30.0
INFER_US = 1500
PAIRS = TokenPairs(tuple([101, 7, 102, *range(1, length), 102] for length in (9, 2, 30, 5, 2, 17)), 3, ())
# What the server makes a logit of: the sum of a row's ids and, to tell the segments, a thousand times the sum of their ids.
LOGITS = [float(sum(row) + 1000 * (len(row) - PAIRS.query_length)) for row in PAIRS.rows]

Behaviour = Callable[[ModelInferRequest, grpc.aio.ServicerContext], Awaitable[None]]


@dataclass
class Server:
    """What it was asked, and what it does before each answer; the last behaviour stays."""

    target: str = ""
    behaviours: list[Behaviour] = field(default_factory=list)
    requests: list[ModelInferRequest] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def infer(self, request: ModelInferRequest, context: grpc.aio.ServicerContext) -> ModelInferResponse:
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.behaviours:
                behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
                await behaviour(request, context)
            return answer(request)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.in_flight -= 1


def arrays(request: ModelInferRequest) -> dict[str, NDArray[np.int64]]:
    given = zip(request.inputs, request.raw_input_contents, strict=True)
    return {tensor.name: np.frombuffer(content, np.int64).reshape(tensor.shape) for tensor, content in given}


def answer(request: ModelInferRequest) -> ModelInferResponse:
    inputs = arrays(request)
    mask = inputs["attention_mask"]
    rows = len(mask)
    logits = ((inputs["input_ids"] + 1000 * inputs["token_type_ids"]) * mask).sum(axis=1)
    contents = {
        "logit": ("FP32", logits.astype(np.float32).tobytes()),
        "infer_us": ("INT64", np.full(rows, INFER_US, np.int64).tobytes()),
        "engine": ("BYTES", serialize_byte_tensor(np.full(rows, b"engine fp32", np.object_)).item()),
    }
    response = ModelInferResponse(model_name=request.model_name)
    for asked in request.outputs:
        kind, content = contents[asked.name]
        response.outputs.add(name=asked.name, datatype=kind, shape=[rows, 1])
        response.raw_output_contents.append(content)
    return response


def says(status: grpc.StatusCode, text: str = "") -> Behaviour:
    async def behave(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        await context.abort(status, text)

    return behave


async def works(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
    """Answer."""


async def hangs(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    state = Server()
    handler = grpc.unary_unary_rpc_method_handler(state.infer, ModelInferRequest.FromString, ModelInferResponse.SerializeToString)
    listening = grpc.aio.server()
    listening.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler}),))
    state.target = f"127.0.0.1:{listening.add_insecure_port('127.0.0.1:0')}"
    await listening.start()
    try:
        yield state
    finally:
        await listening.stop(None)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as state:
        yield state


@asynccontextmanager
async def client(target: str, bundle: Bundle, chunk_tokens: int = 64, in_flight: int = 2) -> AsyncIterator[TritonScorer]:
    async with TritonScorer(target, bundle, chunk_tokens, in_flight) as scorer:
        yield scorer


async def test_logits_come_back_in_the_passages_order_from_many_chunks(server: Server, bundle: Bundle) -> None:
    async with client(server.target, bundle, chunk_tokens=20) as scorer:
        scores = await scorer.score(PAIRS, AMPLE_S)
    assert scores.logits.tolist() == LOGITS
    assert len(server.requests) > 3


async def test_a_call_names_the_model_the_outputs_and_the_callers_bundle(server: Server, bundle: Bundle) -> None:
    async with client(server.target, bundle, chunk_tokens=1 << 20) as scorer:
        await scorer.score(PAIRS, AMPLE_S)
    (request,) = server.requests
    assert request.model_name == "reranker"
    assert request.parameters["bundle_digest"].string_param == bundle.digest
    assert {(tensor.name, tensor.datatype) for tensor in request.inputs} == {
        ("input_ids", "INT64"),
        ("attention_mask", "INT64"),
        ("token_type_ids", "INT64"),
    }
    assert {output.name for output in request.outputs} == {"logit", "infer_us"}


async def test_no_chunk_is_over_its_budget_and_no_more_calls_are_under_way_than_allowed(server: Server, bundle: Bundle) -> None:
    everybody_came = asyncio.Event()

    async def waits_for_company(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        if server.in_flight == 3:
            everybody_came.set()
        await everybody_came.wait()

    server.behaviours = [waits_for_company]
    pairs = TokenPairs(PAIRS.rows * 4, PAIRS.query_length, ())
    async with client(server.target, bundle, chunk_tokens=40, in_flight=3) as scorer:
        assert (await scorer.score(pairs, AMPLE_S)).logits.tolist() == LOGITS * 4
    assert server.most_in_flight == 3
    assert all(array.size <= 40 for request in server.requests for array in arrays(request).values())


async def test_a_probe_is_one_tiny_inference_that_names_the_engine(server: Server, bundle: Bundle) -> None:
    async with client(server.target, bundle) as scorer:
        assert await scorer.probe(AMPLE_S) == "engine fp32"
    (request,) = server.requests
    assert {array.size for array in arrays(request).values()} == {1}
    assert request.parameters["bundle_digest"].string_param == bundle.digest


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, "kestrel", NotReadyError),
        (grpc.StatusCode.NOT_FOUND, "kestrel: unknown model", NotReadyError),
        (grpc.StatusCode.INTERNAL, "Stub process 'kestrel' is not healthy.", NotReadyError),
        (grpc.StatusCode.UNIMPLEMENTED, "kestrel", NotReadyError),
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
    server: Server, bundle: Bundle, status: grpc.StatusCode, text: str, expected: type[RerankerError]
) -> None:
    server.behaviours = [says(status, text)]
    async with client(server.target, bundle) as scorer:
        for call in (scorer.score(PAIRS, AMPLE_S), scorer.probe(AMPLE_S)):
            with pytest.raises(RerankerError) as failed:
                await call
            assert type(failed.value) is expected
            assert "kestrel" not in failed.value.message + json.dumps(failed.value.detail)


async def test_another_bundle_is_told_as_such(server: Server, bundle: Bundle) -> None:
    server.behaviours = [says(grpc.StatusCode.UNIMPLEMENTED, "this server has bundle x")]
    async with client(server.target, bundle) as scorer:
        with pytest.raises(NotReadyError, match="another model bundle"):
            await scorer.probe(AMPLE_S)


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND])
async def test_a_server_that_stops_or_starts_is_asked_again(server: Server, bundle: Bundle, status: grpc.StatusCode) -> None:
    server.behaviours = [says(status), says(status), works]
    async with client(server.target, bundle, chunk_tokens=1 << 20) as scorer:
        assert (await scorer.score(PAIRS, AMPLE_S)).logits.tolist() == LOGITS
    assert len(server.requests) == 3


async def test_several_servers_share_the_calls_and_stand_in_for_one_that_is_away(server: Server, bundle: Bundle) -> None:
    async with serving() as other, client(f"ipv4:{server.target},{other.target}", bundle) as scorer:
        await asyncio.wait_for(until_both_were_asked(scorer, server, other), AMPLE_S)
        server.behaviours = [says(grpc.StatusCode.UNAVAILABLE)]
        seen = len(server.requests)
        for _ in range(6):
            assert await scorer.probe(AMPLE_S) == "engine fp32"
        assert len(server.requests) > seen


async def until_both_were_asked(scorer: TritonScorer, *servers: Server) -> None:
    while not all(server.requests for server in servers):
        await scorer.probe(AMPLE_S)


@pytest.mark.parametrize("status", [grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED])
async def test_a_fault_that_would_only_come_again_is_not_asked_for_again(server: Server, bundle: Bundle, status: grpc.StatusCode) -> None:
    server.behaviours = [says(status)]
    async with client(server.target, bundle, chunk_tokens=1 << 20) as scorer:
        with pytest.raises(RerankerError):
            await scorer.score(PAIRS, AMPLE_S)
    assert len(server.requests) == 1


async def test_one_failed_chunk_fails_the_request_and_stops_the_others(server: Server, bundle: Bundle) -> None:
    server.behaviours = [hangs, says(grpc.StatusCode.INTERNAL), works]
    async with client(server.target, bundle, chunk_tokens=20) as scorer:
        with pytest.raises(ScoringError):
            await scorer.score(PAIRS, AMPLE_S)
        await asyncio.wait_for(server.cancelled.wait(), AMPLE_S)
    assert len(server.requests) == 2


async def test_a_server_that_never_answers_runs_into_the_requests_own_deadline(server: Server, bundle: Bundle) -> None:
    server.behaviours = [hangs]
    async with client(server.target, bundle) as scorer:
        with pytest.raises(DeadlineExceededError, match="time was up"):
            await scorer.score(PAIRS, 0.2)
        await asyncio.wait_for(server.cancelled.wait(), AMPLE_S)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
async def test_a_request_whose_time_is_up_makes_no_call(server: Server, bundle: Bundle, timeout_s: float) -> None:
    async with client(server.target, bundle) as scorer:
        with pytest.raises(DeadlineExceededError):
            await scorer.score(PAIRS, timeout_s)
    assert server.requests == []


async def test_a_caller_that_leaves_is_known_to_the_server(server: Server, bundle: Bundle) -> None:
    came = asyncio.Event()

    async def stays(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        came.set()
        await hangs(request, context)

    server.behaviours = [stays]
    async with client(server.target, bundle) as scorer:
        task = asyncio.create_task(scorer.score(PAIRS, AMPLE_S))
        await asyncio.wait_for(came.wait(), AMPLE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.cancelled.wait(), AMPLE_S)


async def test_a_server_that_is_not_there_is_not_ready(bundle: Bundle) -> None:
    async with client(f"127.0.0.1:{free_ports(1)[0]}", bundle) as scorer:
        with pytest.raises(NotReadyError):
            await scorer.probe(AMPLE_S)


async def test_waiting_for_a_model_goes_on_over_every_fault_until_it_scores(server: Server, bundle: Bundle) -> None:
    server.behaviours = [says(grpc.StatusCode.INTERNAL), says(grpc.StatusCode.UNIMPLEMENTED), says(grpc.StatusCode.INTERNAL), works]
    async with client(server.target, bundle) as scorer:
        assert await asyncio.wait_for(wait_until_scoring(scorer, poll_s=0.001), AMPLE_S) == "engine fp32"
    assert len(server.requests) == 4


async def test_the_engines_time_is_between_one_batch_and_all_of_them(server: Server, bundle: Bundle) -> None:
    async with client(server.target, bundle, chunk_tokens=20) as scorer:
        scores = await scorer.score(PAIRS, AMPLE_S)
    batches = len(server.requests)
    assert batches > 1
    assert INFER_US / 1e6 * 0.999 <= scores.infer_s <= INFER_US / 1e6 * batches * 1.001


SPAN = st.tuples(st.integers(1, 60), st.integers(0, 20)).map(lambda span: (float(span[0]), float(span[0] + span[1])))


@given(st.lists(SPAN, max_size=12))
def test_time_that_several_batches_share_is_counted_once(spans: list[tuple[float, float]]) -> None:
    seconds = {second for start, end in spans for second in range(int(start), int(end))}
    assert triton._covered(spans) == len(seconds)
