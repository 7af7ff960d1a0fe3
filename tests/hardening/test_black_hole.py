"""python -m pytest tests/hardening/test_black_hole.py

The way to a real Triton loses packets without a reset: rankings are answered again within 5 s, those under way among them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from tests.black_hole import BlackHole, before
from tests.conftest import Server
from tests.contract.calls import Client, post, ranked, request
from tests.hardening.own_facade import start_facade, wait_until_ready

pytestmark = [pytest.mark.alone, pytest.mark.long]

RECOVERED_S = 5.0  # the promise
PASSAGES = [f"number {number} " * 40 for number in range(16)]


@asynccontextmanager
async def facade_before(server: Server, folder: Path, target: Callable[[BlackHole], str]) -> AsyncIterator[tuple[Client, BlackHole]]:
    """A facade of its own that reaches the server through a proxy, and asks it all the time."""
    async with before(server.grpc) as hole:
        facade = await asyncio.to_thread(start_facade, replace(server, grpc=target(hole)), folder)
        try:
            await asyncio.to_thread(wait_until_ready, facade)
            async with aiohttp.ClientSession(facade.http) as client:
                yield client, hole
        finally:
            await asyncio.to_thread(facade.stop)


# Of several, none of which is there, a facade says so at once instead.
@pytest.mark.parametrize(
    ("away_s", "others"),
    [(0.0, []), (2.0, []), (0.0, ["127.0.0.1:9"])],
    ids=["the connection is lost", "the machine is away", "the connection to the one of two that is there is lost"],
)
async def test_rankings_are_answered_again_soon(server: Server, tmp_path: Path, slow: float, away_s: float, others: list[str]) -> None:
    async with facade_before(server, tmp_path, lambda hole: ",".join([hole.address, *others])) as (client, hole):
        expected = ranked(await post(client, request("which number?", PASSAGES)))
        calls = [asyncio.create_task(post(client, request("which number?", PASSAGES))) for _ in range(2)]
        await asyncio.sleep(0.1)  # some of their chunks are on the way
        hole.swallow(away=away_s > 0)
        await asyncio.sleep(away_s)
        hole.restore()
        restored = time.monotonic()
        later = await post(client, request("which number?", PASSAGES[:4]))
        answers = await asyncio.gather(*calls)
        assert time.monotonic() - restored < RECOVERED_S * slow
        assert [ranked(answer) for answer in answers] == [expected] * len(calls)
        assert len(ranked(later)) == 4
