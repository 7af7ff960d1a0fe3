"""How a request is put to a server over HTTP and its scores are read back: the NIM's form, and the one that vLLM and infinity share.

Knows HTTP and JSON, not what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.benchmark.light_client import LightClient
from scripts.benchmark.load import Answer, RefusedError
from scripts.benchmark.workload import Ask

TIMEOUT_S = 300.0  # 512 passages take the slowest peer half a minute; beyond this a server hangs
PEER_MODEL = "peer"  # the name under which peers serve the checkpoint
_QUOTED = 200  # characters of a refusal that are kept


@dataclass(frozen=True)
class Wire:
    """A route, the body of a request, and the scores of an answer in the passages' order."""

    path: str
    body: Callable[[Ask], dict[str, Any]]
    scores: Callable[[dict[str, Any]], list[float]]


def _in_order(entries: list[dict[str, Any]], score: str) -> list[float]:
    return [float(entry[score]) for entry in sorted(entries, key=lambda entry: int(entry["index"]))]


NIM = Wire(
    "/v1/ranking",
    lambda ask: {"query": {"text": ask.query}, "passages": [{"text": text} for text in ask.passages], "truncate": "END"},
    lambda answer: _in_order(answer["rankings"], "logit"),
)
RERANK = Wire(
    "/rerank",
    lambda ask: {"model": PEER_MODEL, "query": ask.query, "documents": ask.passages},
    lambda answer: _in_order(answer["results"], "relevance_score"),
)


class Client:
    """One connection pool to a server; an async context manager. Call it with an Ask for the Answer."""

    def __init__(self, url: str, wire: Wire = NIM) -> None:
        self.url = url.rstrip("/")
        self._wire = wire
        self._http = LightClient(self.url, TIMEOUT_S)

    async def __aenter__(self) -> Client:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.__aexit__(None, None, None)

    async def __call__(self, ask: Ask) -> Answer:
        """Raises RefusedError for any answer but a ranking."""
        try:
            reply = await self._http.post(self._wire.path, orjson.dumps(self._wire.body(ask)))
        except OSError as error:
            raise RefusedError(type(error).__name__) from None
        if reply.status != 200:
            raise RefusedError(f"status {reply.status}: {reply.content[:_QUOTED].decode(errors='replace')}")
        try:
            return Answer(self._wire.scores(orjson.loads(reply.content)), engine_seconds(reply.headers.get("server-timing", "")))
        except (KeyError, TypeError, ValueError) as error:
            raise RefusedError(f"the answer is no ranking ({error!r})") from None


async def text(url: str) -> str:
    """What GET of the URL answers. Raises RefusedError for any status but 200."""
    try:
        async with LightClient(url, TIMEOUT_S) as client:
            reply = await client.get("")
    except OSError as error:
        raise RefusedError(f"GET {url}: {type(error).__name__}") from None
    if reply.status != 200:
        raise RefusedError(f"GET {url}: status {reply.status}")
    return reply.content.decode()


def engine_seconds(server_timing: str) -> float | None:
    """What a Server-Timing header tells of `infer`, in seconds; None where it tells nothing."""
    for entry in server_timing.split(","):
        stage, _, milliseconds = entry.strip().partition(";dur=")
        if stage == "infer":
            return float(milliseconds) / 1000.0
    return None
