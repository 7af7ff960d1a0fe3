"""python -m pytest tests/contract/test_overload.py

Many requests at the same time: each gets its own answer, and what is too much is refused at once and admitted again later.
"""

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp.test_utils import TestClient

from tests.contract.calls import GOOD, RANKING, idle, post, ranked, refused, request, scrape
from tests.contract.conftest import StartApp
from tests.contract.scorers import Computing, Fixed, Held, held

# full


async def test_beyond_the_requests_in_flight_a_request_is_refused_at_once(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, NIM_SERVER_MAX_QUEUE_SIZE="2")
    running = [await held(client, scorer) for _ in range(2)]
    body = refused(await post(client, GOOD), 503)
    assert body["type"] == "service_unavailable_error"
    scorer.release.set()
    assert all(len(ranked(answer)) == 2 for answer in await asyncio.gather(*running))


async def test_beyond_the_tokens_in_flight_a_request_is_refused_at_once(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, RERANKER_MAX_TOKENS_IN_FLIGHT="100")
    running = await held(client, scorer, request("rock", ["lava " * 80]))
    refused(await post(client, request("rock", ["ash " * 20])), 503)
    scorer.release.set()
    ranked(await running)


async def test_bytes_alone_refuse_a_request_before_it_is_tokenised(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, RERANKER_MAX_TOKENS_IN_FLIGHT="1000")
    running = await held(client, scorer)
    refused(await post(client, request("rock", ["x" * 5000], truncate="NONE")), 503)
    scorer.release.set()
    ranked(await running)


async def test_a_small_request_is_let_in_beside_a_large_one(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, RERANKER_MAX_TOKENS_IN_FLIGHT="200")
    large = await held(client, scorer, request("rock", ["lava " * 80]))
    small = await held(client, scorer, request("rock", ["ash"]))
    scorer.release.set()
    ranked(await large)
    ranked(await small)


async def test_a_request_stands_for_no_more_than_truncation_leaves_of_it(app: StartApp) -> None:
    """512 passages of 10 kB are 5 MB, and at most 262,144 tokens."""
    scorer = Held()
    client = await app(scorer, RERANKER_MAX_TOKENS_IN_FLIGHT="300000")
    small = [await held(client, scorer) for _ in range(2)]
    large = await held(client, scorer, request("rock", [f"{number} " + "lava " * 2_000 for number in range(512)], truncate="END"))
    scorer.release.set()
    for answer in (*small, large):
        ranked(await answer)


async def test_nine_of_the_largest_requests_fit_in_by_default(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer)
    body = request("rock", [f"{number} " + "lava " * 600 for number in range(512)], truncate="END")
    running = [await held(client, scorer, body) for _ in range(9)]
    assert (await scrape(client)).value("reranker_tokens_in_flight") == 9 * 512 * 512
    scorer.release.set()
    for answer in running:
        ranked(await answer)


@pytest.mark.parametrize("priority", ["interactive", "bulk"])
async def test_nine_clients_in_a_closed_loop_are_never_refused_on_a_slow_model(app: StartApp, priority: str) -> None:
    """A request takes 1.25 times as long as it may have of others' work ahead, as one of 5 s does beside the usual 4 s."""
    client = await app(Computing(tokens_per_s=40_000), RERANKER_MAX_WAIT_S="0.16")
    body = request("rock", [f"{number} " + "lava " * 60 for number in range(120)])

    async def ask() -> list[int]:
        return [(await post(client, body, **{"X-Priority": priority})).status for _ in range(3)]

    statuses = [status for client_s in await asyncio.gather(*(ask() for _ in range(9))) for status in client_s]
    assert statuses == [200] * 27


async def test_a_request_over_the_tokens_in_flight_is_let_in_when_it_is_alone(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_MAX_TOKENS_IN_FLIGHT="10")
    ranked(await post(client, request("rock", ["lava " * 80])))


async def test_the_metrics_tell_what_is_in_flight(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer)
    running = await held(client, scorer)
    now = await scrape(client)
    assert now.value("reranker_requests_in_flight") == 1
    assert now.value("reranker_tokens_in_flight") > 0
    scorer.release.set()
    answer = await running
    assert now.value("reranker_tokens_in_flight") == answer.body["usage"]["total_tokens"]
    await idle(client)


@pytest.mark.parametrize("limit", [{"NIM_SERVER_MAX_QUEUE_SIZE": "1"}, {"RERANKER_MAX_TOKENS_IN_FLIGHT": "12"}], ids=["requests", "tokens"])
async def test_after_a_refusal_all_is_admitted_again(app: StartApp, limit: dict[str, str]) -> None:
    scorer = Held()
    client = await app(scorer, **limit)
    running = await held(client, scorer)
    for _ in range(3):
        refused(await post(client, GOOD), 503)
    scorer.release.set()
    ranked(await running)
    await idle(client)
    ranked(await post(client, GOOD))


@pytest.mark.parametrize(
    "body",
    [b"{", {}, {**GOOD, "model": "x"}, request("a", ["b " * 600]), {**GOOD, "passages": [{"text": "a", "image": "b"}]}],
    ids=["no JSON", "400", "404", "422", "image"],
)
async def test_a_refused_body_leaves_nothing_in_flight(app: StartApp, body: object) -> None:
    client = await app(Fixed(), NIM_SERVER_MAX_QUEUE_SIZE="1")
    for _ in range(2):
        assert (await post(client, body)).status in {400, 404, 422}
    await idle(client)
    ranked(await post(client, GOOD))


async def _head(client: TestClient[Any, Any], length: int) -> int:
    """The status that answers a head which announces a body of `length` bytes, of which none ever comes."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"POST {RANKING} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode())
    status = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return int(status.split()[1])


async def test_a_body_that_there_is_no_room_for_is_not_waited_for(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, RERANKER_MAX_TOKENS_IN_FLIGHT="1000")
    running = await held(client, scorer)
    assert await _head(client, 8_000) == 503
    scorer.release.set()
    ranked(await running)


async def test_a_body_that_is_announced_as_too_large_is_not_waited_for(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    assert await _head(client, 1_001) == 413


async def test_bulk_requests_leave_room_for_others(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, NIM_SERVER_MAX_QUEUE_SIZE="2")
    running = await held(client, scorer)
    refused(await post(client, GOOD, **{"X-Priority": "bulk"}), 503)
    other = await held(client, scorer)
    scorer.release.set()
    ranked(await running)
    ranked(await other)
    ranked(await post(client, GOOD, **{"X-Priority": "Bulk"}))


async def test_a_priority_that_there_is_not_is_refused_with_those_that_there_are(app: StartApp) -> None:
    body = refused(await post(await app(Fixed()), GOOD, **{"X-Priority": "urgent"}), 400)
    assert body["message"] == "X-Priority: send interactive, bulk, or no such header"


async def test_the_real_model_takes_bulk_work(client: aiohttp.ClientSession) -> None:
    assert ranked(await post(client, GOOD, **{"X-Priority": "bulk"})) == ranked(await post(client, GOOD))


async def test_health_and_metrics_answer_while_rankings_are_refused(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, NIM_SERVER_MAX_QUEUE_SIZE="1")
    running = await held(client, scorer)
    refused(await post(client, GOOD), 503)
    for path in ("/v1/health/live", "/v1/models", "/v1/metrics"):
        async with client.get(path) as answer:
            assert answer.status == 200
    scorer.release.set()
    ranked(await running)


# together


async def test_requests_at_the_same_time_get_their_own_answers(client: aiohttp.ClientSession) -> None:
    bodies = [request(f"rock number {count}", [f"stone {index}" for index in range(count)]) for count in range(1, 25)]
    answers = await asyncio.gather(*(post(client, body) for body in bodies))
    assert [len(ranked(answer)) for answer in answers] == list(range(1, 25))
    alone = dict(ranked(await post(client, bodies[7])))
    assert alone == pytest.approx(dict(ranked(answers[7])), abs=1e-3)


async def test_one_connection_serves_refusals_and_rankings_in_turn(app: StartApp) -> None:
    client = await app(Fixed())
    reader, writer = await asyncio.open_connection(client.host, client.port)
    statuses = [await _exchange(reader, writer, body) for body in (b"{", orjson.dumps(GOOD), b"[]", orjson.dumps(GOOD))]
    writer.close()
    assert statuses == [400, 200, 400, 200]


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    head = f"POST {RANKING} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    status, *fields = answer.decode().split("\r\n")
    lengths: list[Any] = [field.partition(":")[2] for field in fields if field.lower().startswith("content-length:")]
    await reader.readexactly(int(lengths[0]))
    return int(status.split()[1])
