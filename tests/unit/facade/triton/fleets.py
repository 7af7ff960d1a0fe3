"""Several servers behind one Fleet, as its tests share them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import cast

import grpc
from tritonclient.grpc.service_pb2 import ModelInferRequest

from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.tensors import INFER_US, OTHER_BUNDLE
from facade.scoring.scorer import TritonScorer
from facade.triton.addresses import Addresses
from facade.triton.channel import Access
from facade.triton.fleet import Fleet
from facade.triton.readiness import Pace
from facade.triton.silence import Patience
from tests.unit.facade.inference_server import AMPLE_S, BUNDLE, Bundles, Server, serving
from tests.unit.waiting import until

# On a busy machine a server that works may be silent for a while, so only a test of silence has little patience.
CALM = Pace(probe_every_s=0.01, patience=Patience(least_s=AMPLE_S, times=1.0, most_s=AMPLE_S))
HASTY = replace(CALM, patience=Patience(least_s=0.3, times=3.0, most_s=0.3))
NEWER = replace(BUNDLE, digest="newer")


@asynccontextmanager
async def servers(count: int) -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serving()) for _ in range(count)]


def speaks(*digests: str) -> Callable[[ModelInferRequest, grpc.aio.ServicerContext], Awaitable[None]]:
    """Answer for these bundles alone, as the model does."""

    async def behave(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        if request.parameters["bundle_digest"].string_param not in digests:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server has bundle")

    return behave


def serves(digest: str) -> Callable[[ModelInferRequest, grpc.aio.ServicerContext], Awaitable[None]]:
    """Answer for this bundle alone, and name it where it refuses, as the model does."""

    async def behave(request: ModelInferRequest, context: grpc.aio.ServicerContext) -> None:
        asked = request.parameters["bundle_digest"].string_param
        if asked != digest:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{OTHER_BUNDLE} {digest}, the call is for {asked}: serve the same")

    return behave


def is_ranking(request: ModelInferRequest) -> bool:
    """Whether the call is no probe."""
    return any(output.name == INFER_US for output in request.outputs)


def rankings(server: Server) -> int:
    return sum(map(is_ranking, server.requests))


def asked_for(server: Server, digest: str) -> int:
    """Calls for that bundle."""
    return sum(request.parameters["bundle_digest"].string_param == digest for request in server.requests)


@asynccontextmanager
async def fleet_of(
    targets: list[str] | Addresses, current: Bundles | None = None, pace: Pace = CALM
) -> AsyncIterator[tuple[Fleet, TritonScorer]]:
    own = cast("ActiveBundle", current or Bundles(BUNDLE))
    endpoints = targets if isinstance(targets, Addresses) else Addresses(",".join(targets))
    async with Fleet(endpoints, Access(), own, pace, update_every_s=0.01) as fleet:
        yield fleet, TritonScorer(fleet, own, 64, 2)


async def all_serve(fleet: Fleet, count: int) -> None:
    await until(lambda: fleet.states()["serving"] == count)
