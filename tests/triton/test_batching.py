"""python -m pytest tests/triton/test_batching.py

What Triton's own statistics say of how requests reach the engine.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from tests.conftest import Server
from tests.slowness import slowness
from tests.triton.conftest import Reference
from tests.triton.engine_counts import all_engine_tokens
from tests.triton.grpc_client import token_inputs

ROWS = 6  # of each of the four requests
# Of the two requests that come before them, of ROW_TOKENS each. The first is by 47,000 tokens more than the pool holds, of which the engine
# of two cores takes a second: within that all four have to come, however busy the machine is, whose engine is then slower, too. The second
# waits in front of them.
BUSY_ROWS, NEXT_ROWS, ROW_TOKENS = 400, 40, 200
# Two short calls take some 10 ms; Triton's batcher sleeps for up to half a second where nothing wakes it.
PAIRS_OF_CALLS, DELAYED_S = 300, 0.1


@pytest.fixture
async def client(server: Server) -> AsyncIterator[InferenceServerClient]:
    async with InferenceServerClient(server.grpc) as opened:
        yield opened


async def executions(client: InferenceServerClient) -> Counter[int]:
    """How many times the reranker ran a batch of each size so far, sizes in rows."""
    statistics = (await client.get_inference_statistics("reranker")).model_stats[0]
    return Counter({entry.batch_size: entry.compute_infer.count for entry in statistics.batch_stats})


async def keep_engine_busy(client: InferenceServerClient, reference: Reference) -> "asyncio.Future[list[Any]]":
    """Two requests, of which the first is in the engine: what comes now waits, and waits together."""
    row = max(reference.input_ids, key=len)[:ROW_TOKENS]
    assert len(row) == ROW_TOKENS
    tasks = []
    for count in (BUSY_ROWS, NEXT_ROWS):
        tasks.append(asyncio.create_task(client.infer("reranker", token_inputs([row] * count, [[0] * len(row)] * count))))
        await asyncio.sleep(0.1)
    return asyncio.gather(*tasks)


async def assert_one_batch_of_four(client: InferenceServerClient, before: Counter[int]) -> None:
    """An execution held the rows of all four. Others may have joined it: probes, of one row each, and the second of the two requests that
    came before. Triton counts just after it answers."""
    for _ in range(1000):
        sizes = await executions(client) - before
        if sum(size * count for size, count in sizes.items()) >= BUSY_ROWS + NEXT_ROWS + 4 * ROWS:
            break
        await asyncio.sleep(0.02)

    # Without all four, an execution has fewer rows than they have, or those of a request before them and at most three of them.
    alone, joined = 4 * ROWS, NEXT_ROWS + 4 * ROWS
    assert any(alone <= size < NEXT_ROWS or joined <= size < BUSY_ROWS for size in sizes), f"batch sizes were {dict(sizes)}"


async def test_four_concurrent_calls_of_different_lengths_run_as_one_batch(client: InferenceServerClient, reference: Reference) -> None:
    four = sorted(range(len(reference.input_ids)), key=lambda index: len(reference.input_ids[index]))[::50]
    assert len({len(reference.input_ids[index]) for index in four}) == 4
    busy = await keep_engine_busy(client, reference)
    before = await executions(client)
    inputs = [token_inputs([reference.input_ids[index]] * ROWS, [reference.token_type_ids[index]] * ROWS) for index in four]
    await asyncio.gather(busy, *(client.infer("reranker", each) for each in inputs))
    await assert_one_batch_of_four(client, before)


async def test_four_concurrent_http_requests_run_as_one_batch(server: Server, client: InferenceServerClient, reference: Reference) -> None:
    async with aiohttp.ClientSession(server.http) as session:

        async def ask(words: int) -> None:
            body = {"query": {"text": "how long?"}, "passages": [{"text": f"{number} " + "word " * words} for number in range(ROWS)]}
            async with session.post("/v1/ranking", json=body) as answer:
                assert answer.status == 200

        busy = await keep_engine_busy(client, reference)
        before = await executions(client)
        await asyncio.gather(busy, *(ask(words) for words in (3, 20, 45, 80)))
    await assert_one_batch_of_four(client, before)


async def test_equal_passages_are_computed_once_and_padding_is_counted(server: Server, client: InferenceServerClient) -> None:
    before = await all_engine_tokens(server, client)
    body = {"query": {"text": "how long?"}, "passages": [{"text": "word " * 100}] * 50}
    async with aiohttp.ClientSession(server.http) as session, session.post("/v1/ranking", json=body) as answer:
        counted = (await answer.json())["usage"]["prompt_tokens"]
        assert len({entry["logit"] for entry in (await answer.json())["rankings"]}) == 1
    tokens, padding = (after - earlier for after, earlier in zip(await all_engine_tokens(server, client), before, strict=True))
    assert counted / 50 <= tokens < 2 * counted / 50
    assert 0 < padding < tokens


@pytest.mark.alone
async def test_a_call_that_comes_while_the_model_takes_in_another_one_is_not_delayed(
    client: InferenceServerClient, reference: Reference
) -> None:
    row = min(reference.input_ids, key=len)
    call = token_inputs([row], [[0] * len(row)])
    slow = 0
    delayed_s = DELAYED_S * slowness()
    for number in range(PAIRS_OF_CALLS):
        began = time.perf_counter()
        first = asyncio.ensure_future(client.infer("reranker", call))
        await asyncio.sleep(number % 4 * 0.0004)  # until the model takes it in, which is over in a millisecond or two
        await asyncio.gather(first, client.infer("reranker", call))
        slow += time.perf_counter() - began > delayed_s
    # A machine may pause a few times by itself; a batcher that sleeps on does with one pair in twenty.
    assert slow <= PAIRS_OF_CALLS // 100, slow
