"""How a request is put to a server over HTTP and its scores are read back: the NIM's form, and the one that vLLM and infinity share.

Knows HTTP and JSON, not what is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

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

    async def __aenter__(self) -> Client:
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def __call__(self, ask: Ask) -> Answer:
        """Raises RefusedError for any answer but a ranking."""
        body = orjson.dumps(self._wire.body(ask))
        try:
            async with self._session.post(self.url + self._wire.path, data=body, headers={"Content-Type": "application/json"}) as answer:
                content = await answer.read()
        except aiohttp.ClientError as error:
            raise RefusedError(type(error).__name__) from None
        if answer.status != 200:
            raise RefusedError(f"status {answer.status}: {content[:_QUOTED].decode(errors='replace')}")
        try:
            return Answer(self._wire.scores(orjson.loads(content)), engine_seconds(answer.headers.get("Server-Timing", "")))
        except (KeyError, TypeError, ValueError) as error:
            raise RefusedError(f"the answer is no ranking ({error!r})") from None

    async def text(self, url: str) -> str:
        """What GET of the URL answers. Raises RefusedError for any status but 200."""
        try:
            async with self._session.get(url) as answer:
                if answer.status != 200:
                    raise RefusedError(f"GET {url}: status {answer.status}")
                return await answer.text()
        except aiohttp.ClientError as error:
            raise RefusedError(f"GET {url}: {type(error).__name__}") from None


def engine_seconds(server_timing: str) -> float | None:
    """What a Server-Timing header tells of `infer`, in seconds; None where it tells nothing."""
    for entry in server_timing.split(","):
        stage, _, milliseconds = entry.strip().partition(";dur=")
        if stage == "infer":
            return float(milliseconds) / 1000.0
    return None
