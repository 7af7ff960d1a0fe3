"""python -m pytest tests/unit/scripts/test_bulk_server.py

The bulk scorer in front of a server: it waits as long as Retry-After says, up to its patience, and never mixes two models.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from scripts.bulk.errors import BrokenOffError, BulkError
from scripts.bulk.rows import Refused, Request, Scored
from scripts.bulk.run_state import Model
from scripts.bulk.server import ServerScorer
from tests.conftest import free_ports

REQUEST = Request("q", ("a", "bbb"))
Answer = Callable[[web.Request, Any], Awaitable[web.Response]]


async def lengths(_: web.Request, body: Any) -> web.Response:
    """The ranking of passages by their length, the longest first."""
    passages = [passage["text"] for passage in body["passages"]]
    order = sorted(range(len(passages)), key=lambda index: -len(passages[index]))
    rankings = [{"index": index, "logit": float(len(passages[index]))} for index in order]
    cut = ",".join(str(index) for index, passage in enumerate(passages) if passage == "cut")
    headers = {"X-Truncated-Passages": cut} if cut else {}
    return web.json_response({"rankings": rankings, "usage": {"total_tokens": len(passages)}}, headers=headers)


class Fake:
    """A server in a thread of its own, which answers rankings as `answer` says and counts them."""

    def __init__(self) -> None:
        self.answer: Answer = lengths
        self.digest = "d" * 64
        self.requests: list[tuple[Any, Any]] = []
        self.url = f"http://127.0.0.1:{free_ports(1)[0]}"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/health/ready", self._ready)
        app.router.add_get("/v1/metadata", self._metadata)
        app.router.add_post("/v1/ranking", self._ranking)
        self._runner = web.AppRunner(app, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", int(self.url.rpartition(":")[2])).start()

    def stop(self) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(60)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(60)
        self._loop.close()

    async def _ready(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _metadata(self, _: web.Request) -> web.Response:
        return web.json_response({"digest": self.digest, "engine": "openvino int8", "maxSeqLen": 512})

    async def _ranking(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append((request.headers, body))
        return await self.answer(request, body)


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def scorer(fake: Fake) -> Iterator[ServerScorer]:
    made = ServerScorer(fake.url, truncate=True, patience_s=20)
    yield made
    made.close()


def status(number: int, **headers: str) -> Answer:
    async def answer(_: web.Request, __: Any) -> web.Response:
        return web.json_response({"message": f"refused {number}"}, status=number, headers=headers)

    return answer


def test_logits_are_in_the_passages_order_and_requests_are_marked_as_bulk(fake: Fake, scorer: ServerScorer) -> None:
    assert scorer.model == Model("d" * 64, "openvino int8", 512)
    assert scorer.score([REQUEST, Request("r", ("cut", ""))]) == [Scored([1.0, 3.0], (), 2), Scored([3.0, 0.0], (0,), 2)]
    headers, body = fake.requests[0]
    assert headers["X-Priority"] == "bulk"
    assert "Authorization" not in headers
    assert body["truncate"] == "END"


def test_the_key_is_read_from_the_variable_of_the_nims_clients(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NVIDIA_API_KEY", "secret")
    scorer = ServerScorer(fake.url, truncate=False)
    scorer.score([REQUEST])
    scorer.close()
    assert fake.requests[0][0]["Authorization"] == "Bearer secret"
    assert fake.requests[0][1]["truncate"] == "NONE"


def test_more_passages_than_a_request_may_have_go_in_several(fake: Fake, scorer: ServerScorer) -> None:
    passages = ("x",) * 600 + ("cut", "yyyy")
    (outcome,) = scorer.score([Request("q", passages)])
    assert outcome == Scored([float(len(passage)) for passage in passages], (600,), 602)
    assert [len(body["passages"]) for _, body in fake.requests] == [512, 90]


@pytest.mark.parametrize("number", [503, 429, 502, 504])
def test_a_saturated_server_is_retried_after_the_time_it_states(fake: Fake, scorer: ServerScorer, number: int) -> None:
    refusals = iter([status(number, **{"Retry-After": "0"})] * 3)

    async def answer(request: web.Request, body: Any) -> web.Response:
        return await next(refusals, lengths)(request, body)

    fake.answer = answer
    assert scorer.score([REQUEST]) == [Scored([1.0, 3.0], (), 2)]
    assert len(fake.requests) == 4


def test_a_server_is_not_retried_before_the_time_it_states(fake: Fake, scorer: ServerScorer) -> None:
    times: list[float] = []

    async def answer(request: web.Request, body: Any) -> web.Response:
        times.append(asyncio.get_running_loop().time())
        return await (status(503, **{"Retry-After": "1"}) if len(times) == 1 else lengths)(request, body)

    fake.answer = answer
    scorer.score([REQUEST])
    assert times[1] - times[0] >= 1.0


def test_retries_end_with_the_patience(fake: Fake) -> None:
    scorer = ServerScorer(fake.url, truncate=True, patience_s=0.3)
    fake.answer = status(503, **{"Retry-After": "0.1"})
    with pytest.raises(BrokenOffError, match=r"could not answer for 0 s \(status 503\): check the server"):
        scorer.score([REQUEST])
    scorer.close()


def test_a_broken_connection_is_retried(fake: Fake, scorer: ServerScorer) -> None:
    async def answer(request: web.Request, body: Any) -> web.Response:
        if len(fake.requests) == 1 and request.transport:
            request.transport.abort()
        return await lengths(request, body)

    fake.answer = answer
    assert scorer.score([REQUEST]) == [Scored([1.0, 3.0], (), 2)]
    assert len(fake.requests) == 2


@pytest.mark.parametrize("number", [400, 413, 422, 500])
def test_a_status_about_the_request_refuses_its_row(fake: Fake, scorer: ServerScorer, number: int) -> None:
    fake.answer = status(number)
    assert scorer.score([REQUEST]) == [Refused(f"refused {number}")]


@pytest.mark.parametrize("number", [401, 403, 404, 405])
def test_a_status_about_every_request_ends_the_run(fake: Fake, scorer: ServerScorer, number: int) -> None:
    fake.answer = status(number)
    with pytest.raises(BrokenOffError, match=f"answered with status {number}: refused {number}"):
        scorer.score([REQUEST])


def test_another_bundle_in_the_middle_of_a_block_ends_the_run(fake: Fake, scorer: ServerScorer) -> None:
    async def swap(request: web.Request, body: Any) -> web.Response:
        fake.digest = "e" * 64
        return await lengths(request, body)

    fake.answer = swap
    with pytest.raises(BrokenOffError, match="serves another model bundle"):
        scorer.score([REQUEST])


def test_without_a_server_the_run_does_not_start() -> None:
    with pytest.raises(BrokenOffError, match="ClientConnectorError"):
        ServerScorer(f"http://127.0.0.1:{free_ports(1)[0]}", truncate=True, patience_s=0.1)


def test_an_invalid_address_is_refused() -> None:
    with pytest.raises(BulkError, match="write it as http://host:8000"):
        ServerScorer("localhost", truncate=True)


def test_closing_cancels_requests_in_flight(fake: Fake, scorer: ServerScorer) -> None:
    arrived = threading.Event()
    raised: list[BaseException] = []

    async def hang(_: web.Request, __: Any) -> web.Response:
        arrived.set()
        await asyncio.sleep(3600)
        raise AssertionError

    def score() -> None:
        try:
            scorer.score([REQUEST])
        except BrokenOffError as error:
            raised.append(error)

    fake.answer = hang
    thread = threading.Thread(target=score)
    thread.start()
    assert arrived.wait(60)
    scorer.close()
    thread.join(60)
    assert raised
