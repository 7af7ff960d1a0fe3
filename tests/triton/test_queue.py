"""python -m pytest tests/triton/test_queue.py

Text calls that wait are bounded: the next is refused at once, and one whose client disconnected costs no more than its chunks in flight.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from facade.config.settings import Settings
from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.triton.engine_counts import all_engine_tokens
from tests.triton.grpc_client import text_inputs, token_inputs

# A call that keeps the engine busy: 100,000 tokens, of which two cores compute some 50,000 a second.
BUSY_CALLS, BUSY_ROWS, ROW_TOKENS = 6, 512, 200
# Text calls of 512 passages: each of two instances takes in 16 and refuses more. Triton may give one far more calls than the other.
FIT, BEYOND = 2 * 16, 64
AT_ONCE_S = 10.0  # the calls that keep the engine busy take longer, on any machine


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that nothing else asks while it is filled up."""
    running = start_server(tmp_path_factory.mktemp("queue"))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


@pytest.fixture
async def client(own_server: Server) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(own_server.grpc) as opened:
        yield opened


@asynccontextmanager
async def busy(client: InferenceServerClient) -> AsyncIterator[None]:
    """The engine has large calls to compute, of which all but the first wait in Triton's queue; cancelled in the end."""
    inputs = token_inputs([[101] * ROW_TOKENS] * BUSY_ROWS, [[0] * ROW_TOKENS] * BUSY_ROWS)

    async def keep_asking() -> None:
        while True:
            await client.infer("reranker", inputs)

    tasks: list[asyncio.Task[object]] = [asyncio.create_task(keep_asking()) for _ in range(BUSY_CALLS)]
    await asyncio.sleep(0.3)  # until the first is in the model
    try:
        yield
    finally:
        await end(tasks)


async def end(tasks: "list[asyncio.Task[object]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until_answered(client: InferenceServerClient) -> list[list[int]]:
    """The ranking of one passage. Calls that were cancelled leave once their chunks under way are answered; until then it is refused."""
    while True:
        try:
            answer = await client.infer("rerank_text", text_inputs(["which rock floats?"], ["pumice"]), client_timeout=60)
        except InferenceServerException as error:
            if "wait here" not in str(error.message()):
                raise
            await asyncio.sleep(0.1)
        else:
            ranked: list[list[int]] = answer.as_numpy("index").tolist()
            return ranked


async def engine_tokens_at_rest(server: Server, client: InferenceServerClient) -> float:
    """The engine's tokens once no call of before is computed any more: within a second, then, it computes probes alone."""
    tokens, _ = await all_engine_tokens(server, client)
    while True:
        await asyncio.sleep(1)
        before, (tokens, _) = tokens, await all_engine_tokens(server, client)
        if tokens - before < ROW_TOKENS:
            return tokens


async def refused(calls: "list[asyncio.Task[object]]", wanted: int, timeout_s: float) -> list[InferenceServerException]:
    """The errors of those of `calls` that were refused, once they are `wanted`; those that were answered in the meantime don't count."""
    async with asyncio.timeout(timeout_s):
        while True:
            errors = [error for call in calls if call.done() and (error := call.exception()) is not None]
            if len(errors) >= wanted:
                return [error for error in errors if isinstance(error, InferenceServerException)]
            await asyncio.wait([call for call in calls if not call.done()], return_when=asyncio.FIRST_COMPLETED)


async def test_a_text_call_that_there_is_no_room_for_is_refused_at_once(client: InferenceServerClient) -> None:
    inputs = text_inputs(["which rock floats?"], [f"stone {place}" for place in range(512)])
    async with busy(client):
        waiting = [asyncio.create_task(client.infer("rerank_text", inputs)) for _ in range(FIT + BEYOND)]
        more: list[asyncio.Task[object]] = []
        try:
            first = await refused(waiting, BEYOND, timeout_s=60)
            more = [asyncio.create_task(client.infer("rerank_text", inputs)) for _ in range(FIT)]  # one instance at most has room for half
            at_once = await refused(more, 1, AT_ONCE_S)
            for refusal in first + at_once:
                assert re.search(r"passages of \d+ bytes wait here", refusal.message())
                assert refusal.status() == "StatusCode.UNAVAILABLE"
            assert not all(call.done() and call.exception() for call in waiting + more), "those that there is room for wait"
        finally:
            await end(waiting + more)
    assert await until_answered(client) == [[0]]


@pytest.mark.long
async def test_a_text_call_whose_deadline_is_over_costs_no_more_than_its_chunks_under_way(
    own_server: Server, client: InferenceServerClient
) -> None:
    before = await engine_tokens_at_rest(own_server, client)
    passages = [f"number {number} " + "stone " * 180 for number in range(512)]
    large = token_inputs([[101] * ROW_TOKENS] * BUSY_ROWS, [[0] * ROW_TOKENS] * BUSY_ROWS)
    first = [asyncio.create_task(client.infer("reranker", large)) for _ in range(3)]
    await asyncio.sleep(0.1)  # so that they come first
    with pytest.raises(InferenceServerException) as end_of_deadline:
        await client.infer("rerank_text", text_inputs(["stone?"], passages), client_timeout=0.3)
    assert end_of_deadline.value.status() == "StatusCode.DEADLINE_EXCEEDED"
    await asyncio.gather(*first)
    await asyncio.sleep(1)  # in which the model would send and compute further chunks
    after, _ = await all_engine_tokens(own_server, client)
    settings = Settings.from_environment({})
    own = after - before - len(first) * BUSY_ROWS * ROW_TOKENS
    assert own < (settings.chunks_in_flight + 1) * settings.chunk_tokens
