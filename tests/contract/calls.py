"""Calls as a plain HTTP client writes them, and what each answer has to be, whatever was asked."""

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from aiohttp.test_utils import TestClient
from multidict import CIMultiDictProxy
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

Client = aiohttp.ClientSession | TestClient[Any, Any]

JSON = {"Content-Type": "application/json"}
RANKING = "/v1/ranking"
READY = "/v1/health/ready"


@dataclass(frozen=True)
class Answer:
    """An answer that was read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def body(self) -> Any:
        assert self.headers["Content-Type"].partition(";")[0] == "application/json", self.text
        return orjson.loads(self.content)


@dataclass(frozen=True)
class Scrape:
    """The samples of one /v1/metrics, by name and labels."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        """A sample's value; 0 for one that isn't there, as counters with labels begin."""
        return self.samples.get((name, frozenset(labels.items())), 0.0)


def request(query: str, passages: Sequence[str], **further: object) -> dict[str, Any]:
    """A body of POST /v1/ranking."""
    return {"query": {"text": query}, "passages": [{"text": passage} for passage in passages], **further}


# A body that is answered.
GOOD = request("which rock floats", ["pumice", "basalt"])
QUERY = "how do volcanoes form"
PASSAGES = [
    "Bread rises because yeast gives off carbon dioxide.",
    "Volcanoes form where molten rock from the mantle breaks through the crust.",
    "The committee will meet again on Thursday.",
    "Große Vulkane entstehen über heißen Flecken 🌋 im Erdmantel.",
]


async def call(client: Client, method: str, path: str | URL, **arguments: Any) -> Answer:
    async with client.request(method, path, **arguments) as response:
        return Answer(response.status, response.headers, await response.read())


async def get(client: Client, path: str) -> Answer:
    return await call(client, "GET", path)


async def post(client: Client, body: object, path: str | URL = RANKING, **headers: str) -> Answer:
    """POST of `body`: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return await call(client, "POST", path, data=io.BytesIO(content), headers={**JSON, **headers})


async def scrape(client: Client) -> Scrape:
    answer = await get(client, "/v1/metrics")
    families = text_string_to_metric_families(answer.text)
    return Scrape({(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples})


def ranked(answer: Answer) -> list[tuple[int, float]]:
    """The rankings of a 200 as (index, logit), held to what goes for every one of them."""
    assert answer.status == 200, answer.text
    body = answer.body
    assert set(body) == {"rankings", "usage"}
    assert all(set(entry) == {"index", "logit"} for entry in body["rankings"])
    entries = [(entry["index"], entry["logit"]) for entry in body["rankings"]]
    assert all(type(index) is int and type(logit) is float for index, logit in entries)
    assert sorted(index for index, _ in entries) == list(range(len(entries)))
    assert entries == sorted(entries, key=lambda entry: (-entry[1], entry[0]))
    return entries


def refused(answer: Answer, status: int) -> dict[str, Any]:
    """The body of a refusal with this status, held to the one envelope."""
    assert answer.status == status, answer.text
    body = answer.body
    assert set(body) == {"object", "message", "detail", "type"}
    assert body["object"] == "error"
    assert isinstance(body["message"], str)
    assert body["message"]
    assert isinstance(body["detail"], dict)
    assert body["type"].endswith("_error")
    assert answer.headers["X-Request-Id"]
    if status == 503:
        assert int(answer.headers["Retry-After"]) > 0
    if status < 500:
        assert body["type"] == "invalid_request_error"
    return dict(body)


def faults(answer: Answer) -> dict[str, str]:
    """Path -> message of all faults that a 400 lists; each path stands in the list once."""
    listed = refused(answer, 400)["detail"]["errors"]
    assert all(set(fault) == {"path", "message"} and fault["message"] for fault in listed)
    by_path = {fault["path"]: fault["message"] for fault in listed}
    assert len(by_path) == len(listed)
    return by_path


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, limit_s: float = 120.0) -> None:
    """Return as soon as `condition` holds; fail where it does not within the limit."""
    deadline = time.monotonic() + limit_s
    while not await condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        await asyncio.sleep(0.01)


async def idle(client: Client) -> None:
    """Return once nothing is counted as in flight any more."""

    async def nothing_in_flight() -> bool:
        now = await scrape(client)
        return now.value("reranker_requests_in_flight") == 0 and now.value("reranker_tokens_in_flight") == 0

    await eventually(nothing_in_flight, "no request and no token in flight")
