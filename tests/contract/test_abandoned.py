"""python -m pytest tests/contract/test_abandoned.py

Work that ends before its answer: too slow for its deadline, or its client has left.
"""

import asyncio
import time

import aiohttp

from tests.contract.calls import GOOD, eventually, idle, post, ranked, refused, request, scrape
from tests.contract.conftest import StartApp
from tests.contract.scorers import Fixed, Held, held
from tests.slowness import slowness

# Half a minute of work on two cores, so that it is certainly under way when something happens to it.
HEAVY = request("which rock floats", [f"{number} " + "pumice basalt granite " * 160 for number in range(512)], truncate="END")
HEAVY_TOKENS = 512 * 512
# What is left of it for the next request to wait for: the few chunks that were in the engine.
LEFTOVERS_S = 10.0


# too slow


async def test_a_scorer_that_is_too_slow_ends_in_504_at_the_deadline(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, NIM_SERVER_REQUEST_TIMEOUT_S="0.2")
    began = time.monotonic()
    body = refused(await post(client, GOOD), 504)
    assert 0.2 <= time.monotonic() - began < 60
    assert body["type"] == "deadline_exceeded_error"
    assert scorer.cancelled.is_set()
    await idle(client)


async def test_the_real_triton_is_too_slow_for_a_heavy_request_and_free_again_afterwards(
    real_app: StartApp, client: aiohttp.ClientSession
) -> None:
    limit_s = LEFTOVERS_S * slowness()
    impatient = await real_app(NIM_SERVER_REQUEST_TIMEOUT_S="1")
    refused(await post(impatient, HEAVY), 504)
    await idle(impatient)
    began = time.monotonic()
    ranked(await post(client, GOOD))
    assert time.monotonic() - began < limit_s


async def test_a_body_that_does_not_come_ends_in_504_at_the_deadline(app: StartApp) -> None:
    client = await app(Fixed(), NIM_SERVER_REQUEST_TIMEOUT_S="0.2")
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b'POST /v1/ranking HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"query"')
    await writer.drain()
    status = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    assert status.split()[1] == b"504"
    await idle(client)


# gone


async def test_a_client_that_leaves_cancels_the_scorer_s_work(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer)
    running = await held(client, scorer)
    running.cancel()
    await asyncio.wait_for(scorer.cancelled.wait(), 60)
    await idle(client)
    assert (await scrape(client)).value("reranker_rejects_total", reason="client_left") == 1


async def test_clients_that_leave_give_their_places_back(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, NIM_SERVER_MAX_QUEUE_SIZE="3")
    running = [await held(client, scorer) for _ in range(3)]
    refused(await post(client, GOOD), 503)
    for task in running:
        task.cancel()
    await idle(client)
    scorer.release.set()
    assert all(len(ranked(answer)) == 2 for answer in await asyncio.gather(*(post(client, GOOD) for _ in range(3))))


async def test_a_client_that_leaves_the_real_server_takes_its_work_along(client: aiohttp.ClientSession) -> None:
    limit_s = LEFTOVERS_S * slowness()
    before = await scrape(client)
    running = asyncio.create_task(post(client, HEAVY))

    async def under_way() -> bool:
        return (await scrape(client)).value("reranker_tokens_in_flight") == HEAVY_TOKENS

    await eventually(under_way, "the request is admitted and tokenised")
    running.cancel()
    await idle(client)
    began = time.monotonic()
    ranked(await post(client, GOOD))
    assert time.monotonic() - began < limit_s
    after = await scrape(client)
    gone = [scraped.value("reranker_rejects_total", reason="client_left") for scraped in (before, after)]
    assert gone[1] - gone[0] == 1


async def test_a_client_that_leaves_before_its_body_has_come_is_forgotten(app: StartApp) -> None:
    client = await app(Fixed(), NIM_SERVER_MAX_QUEUE_SIZE="1")
    _, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /v1/ranking HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await idle(client)
    ranked(await post(client, GOOD))
