"""python -m pytest tests/hardening/test_overload.py [--full]

Ten times the load that the server can carry: it computes as much as without, refuses the rest at once, and is itself again right after.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from statistics import median, quantiles

import aiohttp
import pytest

from tests.conftest import Server
from tests.contract.calls import READY
from tests.hardening.load import Ranking, bodies

pytestmark = pytest.mark.alone

TIMES = 10
# The promise.
GOODPUT = 0.9
REFUSED_WITHIN_S = 0.05
NORMAL_AGAIN_S = 5.0
# What is still normal: the clients share the two cores with the server.
NORMAL = 2.0


@dataclass
class Told:
    """Seconds of each answer by status, and the rankings that were wrong."""

    expected: list[Ranking]
    seconds: dict[int, list[float]] = field(default_factory=dict)
    retry_after: set[int] = field(default_factory=set)
    wrong: int = 0

    async def ask(self, session: aiohttp.ClientSession, which: int, priority: str = "interactive") -> int:
        which %= len(self.expected)
        began = time.perf_counter()
        async with session.post("/v1/ranking", json=BODIES[which], headers={"X-Priority": priority}) as answer:
            told = await answer.json()
        self.seconds.setdefault(answer.status, []).append(time.perf_counter() - began)
        if answer.status == 200:
            self.wrong += told["rankings"] != self.expected[which]
        elif answer.status == 503:
            self.retry_after.add(int(answer.headers["Retry-After"]))
        return answer.status


BODIES = bodies(8)


async def closed_loop(told: Told, session: aiohttp.ClientSession, clients: int, seconds: float) -> float:
    """Answers a second that `clients` get who ask one request after the other."""
    end = time.perf_counter() + seconds
    places = count()

    async def client() -> None:
        while time.perf_counter() < end:
            await told.ask(session, next(places))

    await asyncio.gather(*(client() for _ in range(clients)))
    return len(told.seconds[200]) / seconds


async def open_loop(told: Told, session: aiohttp.ClientSession, per_s: float, seconds: float, priority: str = "interactive") -> float:
    """Good answers a second while requests come at a fixed rate, whatever becomes of them."""
    began = time.perf_counter()
    tasks = []
    for place in range(round(per_s * seconds)):
        await asyncio.sleep(began + place / per_s - time.perf_counter())
        tasks.append(asyncio.create_task(told.ask(session, place, priority)))
    good = len(told.seconds.get(200, []))
    elapsed = time.perf_counter() - began
    await asyncio.gather(*tasks)
    return good / elapsed


async def test_ten_times_the_capacity_costs_no_goodput_and_is_over_when_it_is_over(
    server: Server, full: bool, record_property: Callable[[str, object], None]
) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(server.http, connector=connector) as session:
        expected = []
        for body in BODIES:
            async with session.post("/v1/ranking", json=body) as answer:
                expected.append((await answer.json())["rankings"])
        alone = Told(expected)
        await closed_loop(alone, session, 1, 2.0)
        before = Told(expected)
        capacity = await closed_loop(before, session, 8, 20.0 if full else 5.0)
        overload = Told(expected)
        goodput = await open_loop(overload, session, TIMES * capacity, 60.0 if full else 8.0)
        over = time.perf_counter()
        async with session.get(READY) as answer:
            assert answer.status == 200
        after = Told(expected)
        while not after.seconds or after.seconds[200][-1] > NORMAL * median(alone.seconds[200]):
            assert time.perf_counter() - over < NORMAL_AGAIN_S, after.seconds
            await after.ask(session, 0)
    refused = quantiles(overload.seconds[503], n=100)[98]
    record_property("capacity, requests/s", round(capacity, 1))
    record_property("goodput / capacity", round(goodput / capacity, 2))
    record_property("refused, p50 and p99, ms", [round(seconds * 1e3, 1) for seconds in (median(overload.seconds[503]), refused)])
    record_property("normal again after, s", round(time.perf_counter() - over, 1))
    assert set(overload.seconds) == {200, 503}
    assert overload.wrong == 0
    assert goodput >= GOODPUT * capacity
    assert refused < REFUSED_WITHIN_S
    assert all(1 <= seconds <= 30 for seconds in overload.retry_after)
    # Whoever was let in did not wait for ever either.
    assert max(overload.seconds[200]) < 3 * NORMAL_AGAIN_S
