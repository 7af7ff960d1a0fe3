"""Closed and open loops: the requests that are sent, the time of an answer, and the count of failures."""

import asyncio
from collections.abc import Sequence
from itertools import count, islice, repeat

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scripts.benchmark.load import Answer, RefusedError, closed_loop, for_seconds, open_loop, pooled_loop
from scripts.benchmark.wire import RERANK, Client, engine_seconds
from scripts.benchmark.workload import Request
from tests.unit.scripts.benchmark_servers import REQUEST, app, meeting, times, words_as_logits
from tests.unit.waiting import PATIENCE_S


async def test_a_closed_loop_counts_every_answer_and_has_one_request_per_client_in_flight() -> None:
    under_way, most = 0, 0

    async def send(_: Request) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return Answer([1.0, 2.0, 3.0], 0.001)

    load = await closed_loop(send, repeat(REQUEST), 3, times(20))
    assert (len(load.answers), load.pairs, most) == (20, 60, 3)
    assert load.pairs_per_second == pytest.approx(60 / load.seconds)
    assert load.engine_pairs_per_second == pytest.approx(3000)
    assert not load.failures
    assert all(answer.seconds >= 0.001 for answer in load.answers)


async def test_failures_are_counted_by_reason() -> None:
    number = count()

    async def send(_: Request) -> Answer:
        match next(number) % 4:
            case 0:
                raise RefusedError("status 503")
            case 1:
                raise TimeoutError
            case 2:
                return Answer([1.0])
        return Answer([1.0, 2.0, 3.0])

    load = await closed_loop(send, repeat(REQUEST), 4, times(8))
    assert load.failures == {"status 503": 2, "TimeoutError": 2, "1 scores for 3 passages": 2}
    assert load.pairs == 6


async def test_an_open_loop_does_not_wait_and_times_requests_from_when_they_are_due() -> None:
    turn = asyncio.Lock()

    async def one_at_a_time(request: Request) -> Answer:
        async with turn:
            await asyncio.sleep(0.02)
        return Answer([1.0] * len(request.passages))

    load = await open_loop(one_at_a_time, repeat(REQUEST), 200.0, 0.2)
    assert 20 <= len(load.answers) <= 70  # 40 on average
    assert load.seconds >= 0.02 * len(load.answers)  # the queue was waited for
    assert max(answer.seconds for answer in load.answers) > 0.2  # and the last wait is counted
    assert not load.failures


async def test_an_open_loop_has_equal_times_for_equal_seeds() -> None:
    async def send(request: Request) -> Answer:
        return Answer([1.0] * len(request.passages))

    loads = [await open_loop(send, repeat(REQUEST), 500.0, 0.1, seed=3) for _ in range(2)]
    assert len(loads[0].answers) == len(loads[1].answers) > 10


async def test_a_pool_is_sent_together_and_counts_as_one_answer() -> None:
    async def together(requests: Sequence[Request]) -> Answer:
        return Answer([0.0] * sum(len(request.passages) for request in requests), 0.5)

    load = await pooled_loop(together, repeat(REQUEST), 4, times(2))
    assert [answer.pairs for answer in load.answers] == [12, 12]
    assert load.engine_pairs_per_second == 24.0


async def test_a_time_limit_starts_at_its_first_call() -> None:
    going = for_seconds(0.02)
    await asyncio.sleep(0.03)
    assert going()
    await asyncio.sleep(0.03)
    assert not going()


async def test_scores_are_in_the_passages_order_with_the_engines_time() -> None:
    async with TestServer(app(words_as_logits)) as server, Client(str(server.make_url("/"))) as client:
        assert await client(REQUEST) == Answer([1.0, 3.0, 2.0], 0.0025)


async def test_the_form_of_vllm_and_infinity() -> None:
    async def rerank(request: web.Request) -> web.Response:
        documents = (await request.json())["documents"]
        results = [{"index": index, "relevance_score": len(text) / 100} for index, text in enumerate(documents)]
        return web.json_response({"results": results[::-1]})

    async with TestServer(app(rerank, "/rerank")) as server, Client(str(server.make_url("/")), RERANK) as client:
        assert await client(REQUEST) == Answer([0.03, 0.16, 0.09])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (web.Response(status=503, text="busy"), "status 503: busy"),
        (web.json_response({"results": []}), "the answer is not a ranking (KeyError('rankings'))"),
        (web.Response(text="<html>"), "the answer is not a ranking"),
    ],
)
async def test_an_answer_without_a_ranking_is_a_failure_with_a_reason(answer: web.Response, reason: str) -> None:
    async def other(_: web.Request) -> web.Response:
        return answer

    async with TestServer(app(other)) as server, Client(str(server.make_url("/"))) as client:
        load = await closed_loop(client, repeat(REQUEST), 1, times(1))
    assert [*load.failures.values()] == [1]
    assert next(iter(load.failures)).startswith(reason)


async def test_a_server_that_is_gone_is_a_failure() -> None:
    async with Client("http://127.0.0.1:9") as client:
        load = await closed_loop(client, repeat(REQUEST), 2, times(2))
    assert load.failures == {"ConnectionRefusedError": 2}


async def test_clients_overlap_over_http() -> None:
    async with TestServer(app(meeting(8))) as server, Client(str(server.make_url("/"))) as client, asyncio.timeout(PATIENCE_S):
        load = await closed_loop(client, islice(repeat(REQUEST), 8), 8, times(8))
    assert len(load.answers) == 8


@pytest.mark.parametrize(("header", "seconds"), [("", None), ("decode;dur=1", None), ("queue;dur=1.0, infer;dur=20.5", 0.0205)])
def test_the_engines_time_is_read_from_the_header(header: str, seconds: float | None) -> None:
    assert engine_seconds(header) == seconds
