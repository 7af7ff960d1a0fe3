"""A real gRPC server on loopback that speaks Triton's protocol and answers as a test says, and a client of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelInferResponse
from tritonclient.utils import deserialize_bytes_tensor, np_to_triton_dtype, serialize_byte_tensor, triton_to_np_dtype

from facade.config.settings import REPOSITORY
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.bundle import Bundle, newest_version, read_bundle
from facade.reranking.pairs import TokenPairs
from facade.reranking.tensors import MODEL, Answer, outputs_of
from facade.reranking.token_ids import packed, unpacked
from facade.scoring.scorer import TritonScorer
from facade.triton.client import Triton

# Any deadline that no test is about; generous, since the machine may be busy.
AMPLE_S = 60.0
INFER_US = 1500
BUNDLE = read_bundle(newest_version(REPOSITORY / MODEL))
PAIRS = TokenPairs(tuple(packed([101, 7, 102, *range(1, length), 102]) for length in (9, 2, 30, 5, 2, 17)), 3, (), BUNDLE)
# What the server makes a logit of: the sum of a row's ids and, to tell the segments, a thousand times the sum of their ids.
LOGITS = [float(sum(row) + 1000 * (len(row) - PAIRS.query_length)) for row in map(unpacked, PAIRS.rows)]

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


def arrays(request: ModelInferRequest) -> dict[str, NDArray[Any]]:
    """A call's inputs as the model gets them."""
    given = zip(request.inputs, request.raw_input_contents, strict=True)
    return {tensor.name: _array(tensor.datatype, content).reshape(tensor.shape) for tensor, content in given}


def _array(datatype: str, content: bytes) -> NDArray[Any]:
    return deserialize_bytes_tensor(content) if datatype == "BYTES" else np.frombuffer(content, triton_to_np_dtype(datatype))


def answer(request: ModelInferRequest) -> ModelInferResponse:
    inputs = arrays(request)
    segments = inputs.get("token_type_ids", np.zeros_like(inputs["input_ids"]))
    logits = ((inputs["input_ids"] + 1000 * segments) * inputs["attention_mask"]).sum(axis=1).astype(np.float32)
    outputs = outputs_of(Answer(logits, INFER_US / 1e6), "engine fp32")
    response = ModelInferResponse(model_name=request.model_name)
    for asked in request.outputs:
        array = outputs[asked.name]
        response.outputs.add(name=asked.name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
        response.raw_output_contents.append(serialize_byte_tensor(array).item() if array.dtype == np.object_ else array.tobytes())
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


@dataclass
class Bundles:
    """A current bundle, and those that take over when it is refused."""

    bundle: Bundle
    newer: list[Bundle] = field(default_factory=list)

    async def renew(self, refused: Bundle, served: str | None = None) -> bool:  # noqa: ARG002 (the next one is the served one)
        assert refused is self.bundle
        if not self.newer:
            return False
        self.bundle = self.newer.pop(0)
        return True


@asynccontextmanager
async def client(
    target: str, bundle: Bundle, chunk_tokens: int = 64, in_flight: int = 2, newer: tuple[Bundle, ...] = ()
) -> AsyncIterator[TritonScorer]:
    async with Triton(target) as triton:
        yield TritonScorer(triton, cast(ActiveBundle, Bundles(bundle, list(newer))), chunk_tokens, in_flight)
