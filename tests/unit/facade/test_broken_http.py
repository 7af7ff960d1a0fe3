"""python -m pytest tests/unit/facade/test_broken_http.py

Connections that don't send a whole request: who is silent is cut off, who is slow is told so, and who is merely idle is left alone.
What the parser refuses: tests/contract.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
import pytest

from facade.app import create_app
from facade.server import running
from facade.settings import Settings
from tests.conftest import free_ports
from tests.contract.calls import GOOD
from tests.contract.scorers import Fixed, Held

TIMEOUT_S = 0.3
BODY = orjson.dumps(GOOD)
HEAD = b"POST /v1/ranking HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
LIVE = b"GET /v1/health/live HTTP/1.1\r\nHost: here\r\n\r\n"


@dataclass
class Raw:
    """A connection whose bytes the test sends itself."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All until the server closes the connection."""
        return await asyncio.wait_for(self.reader.read(), 60)


@asynccontextmanager
async def connection(scorer: Fixed | None = None) -> AsyncIterator[Raw]:
    """One to an app that waits a moment for heads."""
    (port,) = free_ports(1)
    settings = Settings(http_port=port, body_timeout_s=TIMEOUT_S)
    async with running(create_app(settings, scorer or Fixed()), settings):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield Raw(reader, writer)
        finally:
            writer.close()


async def test_who_sends_nothing_is_cut_off_without_a_word() -> None:
    began = time.monotonic()
    async with connection() as raw:
        assert await raw.rest() == b""
    assert time.monotonic() - began >= TIMEOUT_S


@pytest.mark.parametrize("beginning", [b"P", b"POST /v1/ranking HTTP/1.1\r\nHost: here\r\nX-Mark: zanzibar", HEAD[:-1]])
async def test_a_head_that_does_not_end_is_answered_408(beginning: bytes) -> None:
    async with connection() as raw:
        await raw.send(beginning)
        status, body = await raw.answer()
        assert await raw.rest() == b""
    assert status == 408
    told = orjson.loads(body)
    assert set(told) == {"object", "message", "detail", "type"}
    assert "RERANKER_BODY_TIMEOUT_S" in told["message"]
    assert b"zanzibar" not in body


async def test_a_head_that_comes_byte_by_byte_gains_no_time() -> None:
    began = time.monotonic()
    async with connection() as raw:

        async def drip() -> None:
            for byte in b"GET /v1/health/live HTTP/1.1\r\nX-Slow: " + b"x" * 10_000:
                await raw.send(bytes([byte]))
                await asyncio.sleep(TIMEOUT_S / 20)

        dripping = asyncio.create_task(drip())
        status, _ = await raw.answer()
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    assert status == 408
    assert time.monotonic() - began < 100 * TIMEOUT_S  # of the 500 that its bytes take


async def test_the_next_head_on_a_connection_has_its_time_from_its_first_byte() -> None:
    async with connection() as raw:
        await raw.send(LIVE)
        assert (await raw.answer())[0] == 200
        await asyncio.sleep(2 * TIMEOUT_S)  # idle, as kept connections are
        await raw.send(LIVE)
        assert (await raw.answer())[0] == 200
        await raw.send(LIVE[:10])
        assert (await raw.answer())[0] == 408
        assert await raw.rest() == b""


async def test_the_work_on_a_request_is_not_timed_here() -> None:
    scorer = Held()
    async with connection(scorer) as raw:
        await raw.send(HEAD + BODY)
        await asyncio.wait_for(scorer.started.acquire(), 60)
        await asyncio.sleep(2 * TIMEOUT_S)
        scorer.release.set()
        assert (await raw.answer())[0] == 200


async def test_a_body_that_comes_later_starts_no_clock_for_the_idle_time_after_it() -> None:
    async with connection() as raw:
        await raw.send(HEAD)
        await asyncio.sleep(TIMEOUT_S / 3)
        for byte in BODY:
            await raw.send(bytes([byte]))
        assert (await raw.answer())[0] == 200
        await asyncio.sleep(2 * TIMEOUT_S)
        await raw.send(LIVE)
        assert (await raw.answer())[0] == 200


async def test_a_head_in_two_parts_is_answered() -> None:
    async with connection() as raw:
        for _ in range(3):
            await raw.send(LIVE[:10])
            await asyncio.sleep(TIMEOUT_S / 3)
            await raw.send(LIVE[10:])
            assert (await raw.answer())[0] == 200


async def test_requests_in_a_row_without_waiting_are_all_answered() -> None:
    async with connection() as raw:
        await raw.send(LIVE + LIVE + LIVE[:10])
        assert [(await raw.answer())[0] for _ in range(2)] == [200, 200]
        await raw.send(LIVE[10:])
        assert (await raw.answer())[0] == 200
