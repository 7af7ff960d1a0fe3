"""Clients that ask all the time and know the right answers, and a watcher of readiness: what the tests of faults hold a server to."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.conftest import Server
from tests.contract.calls import READY, request

Ranking = list[dict[str, Any]]

_WATCH_EVERY_S = 0.02
_SENTENCES = [
    "Two roads diverged in a yellow wood, and sorry I could not travel both.",
    "Bread rises because yeast gives off carbon dioxide while the dough rests in a warm place.",
    "The committee will meet again on Thursday to hear what the surveyors found under the bridge.",
    "Volcanoes form where molten rock from the mantle breaks through the crust of the earth.",
]


def bodies(count: int, passages: int = 16) -> list[dict[str, Any]]:
    """Requests of which no two have the same answer."""
    return [
        request(f"what is said of number {number}?", [f"{_SENTENCES[place % 4]} Number {number * place}." for place in range(passages)])
        for number in range(1, count + 1)
    ]


@dataclass
class Load:
    """What the clients saw: answers by status, rankings that were wrong, and lost connections, each with its time."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[object] = field(default_factory=list)
    lost: list[tuple[float, str]] = field(default_factory=list)
    refusals: set[str] = field(default_factory=set)
    right_at: float = 0.0

    async def ask(self, session: aiohttp.ClientSession, body: dict[str, Any], expected: Ranking) -> None:
        """Ask until cancelled."""
        while True:
            try:
                async with session.post("/v1/ranking", json=body) as answer:
                    told = await answer.json()
            except (aiohttp.ClientError, OSError) as error:
                self.lost.append((time.monotonic(), type(error).__name__))
                await asyncio.sleep(0.05)
                continue
            self.statuses[answer.status] += 1
            if answer.status != 200:
                self.refusals.add(told["message"])
                await asyncio.sleep(0.05)
            elif told["rankings"] == expected:
                self.right_at = time.monotonic()
            else:
                self.wrong.append(told["rankings"])


@dataclass
class Readiness:
    """When readiness changed, as a client saw it that asks all the time and waits `answer_s` seconds for an answer."""

    answer_s: float
    changes: list[tuple[float, bool]] = field(default_factory=list)

    async def watch(self, session: aiohttp.ClientSession) -> None:
        """Look until cancelled."""
        while True:
            try:
                async with session.get(READY, timeout=aiohttp.ClientTimeout(self.answer_s)) as answer:
                    ready = answer.status == 200
            except (aiohttp.ClientError, OSError):
                ready = False
            if not self.changes or self.changes[-1][1] != ready:
                self.changes.append((time.monotonic(), ready))
            await asyncio.sleep(_WATCH_EVERY_S)

    def since(self, began: float, ready: bool) -> float | None:
        """Seconds from `began` to the first change to `ready` after it; None where there was none yet."""
        return next((at - began for at, became in self.changes if at >= began and became is ready), None)


@asynccontextmanager
async def under_load(server: Server, clients: int, passages: int = 16, answer_s: float = 1.0) -> AsyncIterator[tuple[Load, Readiness]]:
    """`clients` that ask while the block runs, none where it is 0; the right answers are those of a quiet server.

    `answer_s`: seconds after which a server that does not answer whether it is ready is not, as for a load balancer.
    """
    load, readiness = Load(), Readiness(answer_s)
    async with aiohttp.ClientSession(server.http) as session:
        expected = []
        asked = bodies(clients, passages)
        for body in asked:
            async with session.post("/v1/ranking", json=body) as answer:
                assert answer.status == 200, await answer.text()
                expected.append((await answer.json())["rankings"])
        tasks = [asyncio.create_task(load.ask(session, body, ranking)) for body, ranking in zip(asked, expected, strict=True)]
        tasks.append(asyncio.create_task(readiness.watch(session)))
        try:
            yield load, readiness
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
