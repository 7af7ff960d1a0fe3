"""python -m pytest tests/hardening/test_hang_ups.py

Two hundred clients hang up in the middle: what they leave is not computed, and no other client's answer changes.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.conftest import Server
from tests.contract.calls import eventually, request, scrape
from tests.hardening.load import Ranking, bodies
from tests.hardening.own_facade import Facade, start_facade, wait_until_ready

pytestmark = pytest.mark.alone

CLIENTS = 200
# Tokens: one micro-batch of the default engine, which a client that disconnects may cost.
MICRO_BATCH = 1024
HEAVY = orjson.dumps(request("which rock floats", [f"{number} " + "pumice basalt granite " * 30 for number in range(64)]))
HEAD = f"POST /v1/ranking HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(HEAVY)}\r\n\r\n".encode()


@pytest.fixture
def patient(server: Server, tmp_path: Path) -> Iterator[Facade]:
    """A facade that takes in all the work there is."""
    facade = start_facade(server, tmp_path, RERANKER_MAX_WAIT_S="3600", RERANKER_MAX_TOKENS_IN_FLIGHT=str(1 << 30))
    try:
        yield wait_until_ready(facade)
    finally:
        facade.stop()


async def computed_tokens(session: aiohttp.ClientSession, server: Server) -> int:
    async with session.get(server.metrics) as answer:
        counts = re.findall(r"^reranker_engine_tokens_total\{.*\} (\S+)$", await answer.text(), re.MULTILINE)
    return sum(int(float(count)) for count in counts)


@asynccontextmanager
async def neighbour(session: aiohttp.ClientSession, answers: list[Ranking]) -> AsyncIterator[None]:
    """Another client, which asks the same all the time."""
    body = bodies(1)[0]

    async def ask() -> None:
        while True:
            async with session.post("/v1/ranking", json=body) as answer:
                assert answer.status == 200
                answers.append((await answer.json())["rankings"])

    task = asyncio.create_task(ask())
    try:
        yield
    finally:
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(end, asyncio.CancelledError), end


async def test_clients_that_hang_up_take_their_work_along(
    server: Server, patient: Facade, record_testsuite_property: Callable[[str, object], None]
) -> None:
    answers: list[Ranking] = []
    url = f"http://127.0.0.1:{patient.port}"
    async with aiohttp.ClientSession(url) as session, neighbour(session, answers):
        await eventually(lambda: _true_when(bool(answers)), "the neighbour is answered")
        clients = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", patient.port) for _ in range(CLIENTS)))
        beginnings = [asyncio.create_task(reader.readline()) for reader, _ in clients]
        for _, writer in clients:
            writer.write(HEAD + HEAVY)
        # On a slow machine the first may be answered before the last are admitted.
        await eventually(lambda: _in_flight(session, CLIENTS - sum(map(asyncio.Task.done, beginnings))), "all are admitted")
        before = await computed_tokens(session, server)
        for _, writer in clients:
            writer.transport.abort()
        answered = sum(1 for line in await asyncio.gather(*beginnings, return_exceptions=True) if isinstance(line, bytes) and line)
        await eventually(lambda: _nothing_in_flight(session), "only the neighbour is left")
        seen = len(answers)
        await eventually(lambda: _true_when(len(answers) >= seen + 5), "the neighbour is answered again")
        after = await computed_tokens(session, server)
    left = await _left(url)
    record_testsuite_property(
        "tokens computed for clients that hung up, in micro-batches each", round((after - before) / MICRO_BATCH / CLIENTS, 3)
    )
    assert after - before <= CLIENTS * MICRO_BATCH
    assert answered < CLIENTS / 2
    assert left >= CLIENTS - answered
    assert answers.count(answers[0]) == len(answers)


async def _true_when(condition: bool) -> bool:
    return condition


async def _in_flight(session: aiohttp.ClientSession, count: int) -> bool:
    """Whether this number of requests is in flight, or more."""
    return (await scrape(session)).value("reranker_requests_in_flight") >= count


async def _nothing_in_flight(session: aiohttp.ClientSession) -> bool:
    """Whether no request is in flight but the neighbour's."""
    return (await scrape(session)).value("reranker_requests_in_flight") <= 1


async def _left(url: str) -> float:
    async with aiohttp.ClientSession(url) as session:
        return (await scrape(session)).value("reranker_rejects_total", reason="client_left")
