"""Requests and scores over HTTP in two formats: the NIM's, and the one that vLLM and infinity share. Does not know what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.benchmark.light_client import LightClient
from scripts.benchmark.load import Answer, RefusedError
from scripts.benchmark.workload import Request

TIMEOUT_S = 300.0  # 512 passages take the slowest peer half a minute
PEER_MODEL = "peer"  # the name of the checkpoint in the peers
_QUOTED = 200  # characters of a refusal in the failure's reason


@dataclass(frozen=True)
class Wire:
    """A route, the body of a request, and the scores of an answer in the passages' order."""

    path: str
    body: Callable[[Request], dict[str, Any]]
    scores: Callable[[dict[str, Any]], list[float]]


def _in_order(entries: list[dict[str, Any]], score: str) -> list[float]:
    return [float(entry[score]) for entry in sorted(entries, key=lambda entry: int(entry["index"]))]


NIM = Wire(
    "/v1/ranking",
    lambda request: {"query": {"text": request.query}, "passages": [{"text": text} for text in request.passages], "truncate": "END"},
    lambda answer: _in_order(answer["rankings"], "logit"),
)
RERANK = Wire(
    "/rerank",
    lambda request: {"model": PEER_MODEL, "query": request.query, "documents": request.passages},
    lambda answer: _in_order(answer["results"], "relevance_score"),
)


class Client:
    """A server's connections; an async context manager. Calling it with a Request gives the Answer."""

    def __init__(self, url: str, wire: Wire = NIM) -> None:
        self.url = url.rstrip("/")
        self._wire = wire
        self._http = LightClient(self.url, TIMEOUT_S)

    async def __aenter__(self) -> Client:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.__aexit__(None, None, None)

    async def __call__(self, request: Request) -> Answer:
        """Raises RefusedError if the answer is not a ranking."""
        try:
            reply = await self._http.post(self._wire.path, orjson.dumps(self._wire.body(request)))
        except OSError as error:
            raise RefusedError(type(error).__name__) from None
        if reply.status != 200:
            raise RefusedError(f"status {reply.status}: {reply.content[:_QUOTED].decode(errors='replace')}")
        try:
            return Answer(self._wire.scores(orjson.loads(reply.content)), engine_seconds(reply.headers.get("server-timing", "")))
        except (KeyError, TypeError, ValueError) as error:
            raise RefusedError(f"the answer is not a ranking ({error!r})") from None


async def text(url: str) -> str:
    """The content at the URL. Raises RefusedError for any status but 200."""
    try:
        async with LightClient(url, TIMEOUT_S) as client:
            reply = await client.get("")
    except OSError as error:
        raise RefusedError(f"GET {url}: {type(error).__name__}, check that a server listens there") from None
    if reply.status != 200:
        raise RefusedError(f"GET {url}: status {reply.status}")
    return reply.content.decode()


def engine_seconds(server_timing: str) -> float | None:
    """The duration of `infer` in a Server-Timing header, in seconds; None if absent."""
    for entry in server_timing.split(","):
        stage, _, milliseconds = entry.strip().partition(";dur=")
        if stage == "infer":
            return float(milliseconds) / 1000.0
    return None
