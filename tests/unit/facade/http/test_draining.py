"""python -m pytest tests/unit/facade/http/test_draining.py

A stop answers what is under way, refuses what comes after, and cuts off what isn't done in time. The whole of it, under load and with a
real signal: tests/hardening/test_stop.py.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from facade.config.settings import Settings
from facade.http.app import DRAINING, create_app
from facade.http.draining import Draining
from tests.contract.calls import GOOD, READY, eventually, get, post, ranked, refused
from tests.contract.scorers import Held, held
from tests.unit.waiting import until

LONG_S = 60.0
Start = Callable[[Held], Awaitable[TestClient[Any, Any]]]


@pytest.fixture
def app(aiohttp_client: AiohttpClient) -> Start:
    async def start(scorer: Held) -> TestClient[Any, Any]:
        client: TestClient[Any, Any] = await aiohttp_client(create_app(Settings(), scorer))

        async def ready() -> bool:
            return (await get(client, READY)).status == 200

        await eventually(ready, "ready")
        return client

    return start


def stop(client: TestClient[Any, Any]) -> Draining:
    application = client.app
    assert application is not None
    return cast(Draining, application[DRAINING])


async def draining(client: TestClient[Any, Any], limit_s: float = LONG_S) -> asyncio.Task[None]:
    """A stop that has begun."""
    task = asyncio.create_task(stop(client).drain(limit_s))
    await asyncio.sleep(0)
    return task


async def test_what_is_under_way_is_answered_and_then_it_is_over(app: Start) -> None:
    scorer = Held()
    client = await app(scorer)
    under_way = [await held(client, scorer) for _ in range(3)]
    end = await draining(client)
    assert (await get(client, READY)).status == 503
    assert not end.done()
    scorer.release.set()
    for answer in await asyncio.gather(*under_way):
        ranked(answer)
    await asyncio.wait_for(end, 60)


async def test_it_is_over_at_once_where_nothing_is_under_way(app: Start) -> None:
    client = await app(Held())
    await asyncio.wait_for(stop(client).drain(LONG_S), 60)


@pytest.mark.parametrize("path", ["/v1/ranking", "/v1/retrieval/nvidia/reranking", "/ranking"])
async def test_a_ranking_that_comes_later_is_refused_at_once_and_asked_to_retry(app: Start, path: str) -> None:
    scorer = Held()
    client = await app(scorer)
    under_way = await held(client, scorer)
    end = await draining(client)
    answer = await asyncio.wait_for(post(client, GOOD, path), 60)
    assert "shutting down" in refused(answer, 503)["message"]
    assert answer.headers["Connection"] == "close"
    scorer.release.set()
    ranked(await under_way)
    await end


async def test_a_refusal_does_not_wait_for_the_body(app: Start) -> None:
    client = await app(Held())
    await stop(client).drain(LONG_S)
    sent = asyncio.Event()

    async def endless() -> Any:
        yield b'{"query":'
        await sent.wait()

    async with client.post("/v1/ranking", data=endless(), headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 503
        sent.set()


async def test_a_request_whose_body_was_still_coming_is_answered(app: Start) -> None:
    scorer = Held()
    scorer.release.set()
    client = await app(scorer)
    begun, rest = asyncio.Event(), asyncio.Event()

    async def body() -> Any:
        yield b'{"query": {"text": "a"}, '
        begun.set()
        await rest.wait()
        yield b'"passages": [{"text": "b"}]}'

    request = asyncio.create_task(client.post("/v1/ranking", data=body(), headers={"Content-Type": "application/json"}))
    await begun.wait()
    await until(lambda: stop(client)._under_way)
    end = await draining(client)
    await asyncio.sleep(0.05)
    assert not end.done()
    rest.set()
    assert (await request).status == 200
    await end


async def test_what_is_not_done_in_time_is_cut_off_and_answered(app: Start) -> None:
    scorer = Held()
    client = await app(scorer)
    under_way = await held(client, scorer)
    await asyncio.wait_for(stop(client).drain(0.1), 60)
    assert "no time left" in refused(await under_way, 503)["message"]
    assert scorer.cancelled.is_set()


async def test_a_caller_that_left_is_not_waited_for(app: Start) -> None:
    scorer = Held()
    client = await app(scorer)
    under_way = await held(client, scorer)
    under_way.cancel()
    await asyncio.wait_for(scorer.cancelled.wait(), 60)
    await asyncio.wait_for(stop(client).drain(LONG_S), 60)


async def test_before_the_stop_connections_are_kept_and_afterwards_they_end_with_their_answer(app: Start) -> None:
    client = await app(Held())
    assert "Connection" not in (await get(client, "/v1/models")).headers
    await stop(client).drain(LONG_S)
    for path in ("/v1/models", READY, "/v1/metrics", "/nowhere"):
        assert (await get(client, path)).headers["Connection"] == "close"
