"""python -m pytest tests/contract/test_overload.py

Too much, too slow, gone, broken: what the caller gets, and that the server is itself again afterwards.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import orjson
import pytest

from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, ScoringError
from tests.conftest import free_ports
from tests.contract.calls import RANKING, Answer, Client, eventually, idle, post, ranked, refused, request, scrape
from tests.contract.conftest import StartApp
from tests.contract.scorers import Failing, Fixed, Held

GOOD = request("which rock floats", ["pumice", "basalt"])
# Half a minute of work on two cores, so that it is certainly under way when something happens to it.
HEAVY = request("which rock floats", ["pumice basalt granite " * 160] * 512, truncate="END")
HEAVY_TOKENS = 512 * 512
# What is left of it for the next request to wait for: the few chunks that were in the engine.
LEFTOVERS_S = 10.0


async def held(client: Client, scorer: Held, body: object = GOOD) -> asyncio.Task[Answer]:
    """A request that has reached the scorer and stays there."""
    task = asyncio.create_task(post(client, body))
    await asyncio.wait_for(scorer.started.acquire(), 20)
    return task


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


# too slow


async def test_a_scorer_that_is_too_slow_ends_in_504_at_the_deadline(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer, NIM_SERVER_REQUEST_TIMEOUT_S="0.2")
    began = time.monotonic()
    body = refused(await post(client, GOOD), 504)
    assert 0.2 <= time.monotonic() - began < 10
    assert body["type"] == "deadline_exceeded_error"
    assert scorer.cancelled.is_set()
    await idle(client)


async def test_the_real_triton_is_too_slow_for_a_heavy_request_and_free_again_afterwards(
    real_app: StartApp, client: aiohttp.ClientSession
) -> None:
    impatient = await real_app(NIM_SERVER_REQUEST_TIMEOUT_S="1")
    refused(await post(impatient, HEAVY), 504)
    await idle(impatient)
    began = time.monotonic()
    ranked(await post(client, GOOD))
    assert time.monotonic() - began < LEFTOVERS_S


async def test_a_body_that_does_not_come_ends_in_504_at_the_deadline(app: StartApp) -> None:
    client = await app(Fixed(), NIM_SERVER_REQUEST_TIMEOUT_S="0.2")
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b'POST /v1/ranking HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"query"')
    await writer.drain()
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert status.split()[1] == b"504"
    await idle(client)


# gone


async def test_a_client_that_leaves_cancels_the_scorer_s_work(app: StartApp) -> None:
    scorer = Held()
    client = await app(scorer)
    running = await held(client, scorer)
    running.cancel()
    await asyncio.wait_for(scorer.cancelled.wait(), 10)
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
    before = await scrape(client)
    running = asyncio.create_task(post(client, HEAVY))

    async def under_way() -> bool:
        return (await scrape(client)).value("reranker_tokens_in_flight") == HEAVY_TOKENS

    await eventually(under_way, "the request is admitted and tokenised")
    running.cancel()
    await idle(client)
    began = time.monotonic()
    ranked(await post(client, GOOD))
    assert time.monotonic() - began < LEFTOVERS_S
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


# broken


async def test_no_triton_is_503(app: StartApp) -> None:
    (port,) = free_ports(1)
    client = await app(RERANKER_TRITON_URL=f"127.0.0.1:{port}")
    body = refused(await post(client, GOOD), 503)
    assert body["type"] == "service_unavailable_error"
    await idle(client)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (lambda: OverloadedError("full"), 503, "service_unavailable_error"),
        (lambda: NotReadyError("away"), 503, "service_unavailable_error"),
        (lambda: DeadlineExceededError("late"), 504, "deadline_exceeded_error"),
        (lambda: ScoringError("engine"), 500, "internal_server_error"),
        (lambda: RuntimeError("a bug"), 500, "internal_server_error"),
        (lambda: KeyError("x"), 500, "internal_server_error"),
        (MemoryError, 500, "internal_server_error"),
    ],
    ids=["overloaded", "away", "deadline", "engine failure", "a bug", "a key error", "out of memory"],
)
async def test_a_scorer_that_fails_is_told_in_the_envelope_and_leaves_nothing_behind(
    app: StartApp, error: Callable[[], Exception], status: int, kind: str
) -> None:
    scorer = Failing(error)
    client = await app(scorer, NIM_SERVER_MAX_QUEUE_SIZE="1")
    for _ in range(2):
        assert refused(await post(client, GOOD), status)["type"] == kind
    await idle(client)
    scorer.broken = False
    ranked(await post(client, GOOD))


@pytest.mark.parametrize("logit", [float("nan"), float("inf"), float("-inf")], ids=repr)
async def test_a_logit_that_is_no_finite_number_ranks_nothing(app: StartApp, logit: float) -> None:
    client = await app(Fixed([1.0, logit]))
    body = refused(await post(client, GOOD), 500)
    assert body["detail"] == {"passages": [1]}
    await idle(client)


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
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    status, *fields = answer.decode().split("\r\n")
    lengths: list[Any] = [field.partition(":")[2] for field in fields if field.lower().startswith("content-length:")]
    await reader.readexactly(int(lengths[0]))
    return int(status.split()[1])
