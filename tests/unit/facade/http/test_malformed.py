"""python -m pytest tests/unit/facade/http/test_malformed.py

Connections that don't send a whole request: a silent one is cut off, a slow one gets a 408, and an idle one stays open. A head
over the limit and a body that breaks off are refused in words, and nothing of it makes a traceback. What else the parser refuses:
tests/contract.
"""

import asyncio
import logging
import time

import orjson
import pytest

from tests.contract.scorers import Held
from tests.hardening.broken_bytes import BODY, CHUNKED, GET, LIVE, NOISE, POST
from tests.unit.facade.raw_connection import TIMEOUT_S, connection

HEAD = POST + b"Content-Length: %d\r\n\r\n" % len(BODY)
LIMIT = 4096


async def test_a_client_that_sends_nothing_is_cut_off_without_an_answer() -> None:
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
    reported = orjson.loads(body)
    assert set(reported) == {"object", "message", "detail", "type"}
    assert "RERANKER_BODY_TIMEOUT_S" in reported["message"]
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
        await asyncio.sleep(1.5 * TIMEOUT_S)  # idle, as kept connections are
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
        await asyncio.sleep(1.5 * TIMEOUT_S)
        scorer.release.set()
        assert (await raw.answer())[0] == 200


async def test_a_body_that_comes_later_starts_no_clock_for_the_idle_time_after_it() -> None:
    async with connection() as raw:
        await raw.send(HEAD)
        await asyncio.sleep(0.01)
        for byte in BODY:
            await raw.send(bytes([byte]))
        assert (await raw.answer())[0] == 200
        await asyncio.sleep(1.5 * TIMEOUT_S)
        await raw.send(LIVE)
        assert (await raw.answer())[0] == 200


async def test_a_head_in_two_parts_is_answered() -> None:
    async with connection(body_timeout_s=20.0) as raw:
        for _ in range(3):
            await raw.send(LIVE[:10])
            await asyncio.sleep(0.02)
            await raw.send(LIVE[10:])
            assert (await raw.answer())[0] == 200


async def test_requests_in_a_row_without_waiting_are_all_answered() -> None:
    async with connection() as raw:
        await raw.send(LIVE + LIVE + LIVE[:10])
        assert [(await raw.answer())[0] for _ in range(2)] == [200, 200]
        await raw.send(LIVE[10:])
        assert (await raw.answer())[0] == 200


# heads over the limit


def filled(size: int) -> bytes:
    """A head of exactly this size in bytes."""
    field = b"X-Token: "
    return GET + field + b"a" * (size - len(GET + field) - 4) + b"\r\n\r\n"


OVER = {
    "path": (b"GET /" + b"a" * LIMIT + b" HTTP/1.1\r\nHost: here\r\n\r\n", 414),
    "query string": (b"GET /v1/models?a=" + b"a" * LIMIT + b" HTTP/1.1\r\nHost: here\r\n\r\n", 414),
    "field": (filled(2 * LIMIT), 431),
    "field's name": (GET + b"X" * LIMIT + b": a\r\n\r\n", 431),
    "a byte": (filled(LIMIT + 1), 431),
    "many fields": (GET + b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100 + b"\r\n", 431),
    "fields without an end": (GET + b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100, 431),
    "with a body": (HEAD[:-4] + b"\r\nX-A: " + b"a" * LIMIT + b"\r\n\r\n" + BODY, 431),
}


@pytest.mark.parametrize("case", OVER)
@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_head_over_the_limit_is_refused_and_the_limit_named(case: str, pieces: int) -> None:
    content, status = OVER[case]
    async with connection(head_limit_bytes=LIMIT, body_timeout_s=20.0) as raw:
        size = -(-len(content) // pieces)
        for start in range(0, len(content), size):
            await raw.send(content[start : start + size])
            await asyncio.sleep(0.01)
        answered, body = await raw.answer()
    assert answered == status
    message = orjson.loads(body)["message"]
    assert str(LIMIT) in message
    assert "RERANKER_HTTP_HEAD_LIMIT_BYTES" in message
    assert b"aaaa" not in body


async def test_too_many_fields_are_refused() -> None:
    async with connection() as raw:
        await raw.send(GET + b"X-A: a\r\n" * 200 + b"\r\n")
        status, body = await raw.answer()
    assert status == 431
    assert "fields" in orjson.loads(body)["message"]


async def test_a_head_of_exactly_the_limit_is_answered() -> None:
    async with connection(head_limit_bytes=LIMIT) as raw:
        for _ in range(3):
            await raw.send(filled(LIMIT))
            assert (await raw.answer())[0] == 200


async def test_the_default_takes_heads_with_large_tokens() -> None:
    async with connection() as raw:
        await raw.send(filled(65_536))
        assert (await raw.answer())[0] == 200
        await raw.send(filled(65_537))
        assert (await raw.answer())[0] == 431


async def test_a_body_is_no_part_of_the_head() -> None:
    body = b" " * (4 * LIMIT) + BODY
    async with connection(head_limit_bytes=LIMIT) as raw:
        for _ in range(2):
            await raw.send(POST + b"Content-Length: %d\r\n\r\n" % len(body))
            for start in range(0, len(body), 1000):
                await raw.send(body[start : start + 1000])
            assert (await raw.answer())[0] == 200


async def test_the_answer_comes_although_more_of_the_head_is_on_its_way() -> None:
    async with connection(head_limit_bytes=LIMIT, body_timeout_s=20.0) as raw:
        await raw.send(filled(100 * LIMIT)[:-4])
        assert (await raw.answer())[0] == 431
        await raw.send(b"a" * LIMIT + b"\r\n\r\n" + LIVE)
        assert await raw.rest() == b""


# bodies that break off


BROKEN = {
    "size": b"zz\r\n{}\r\n",
    "length": b"2\r\n{}{}\r\n",
    "huge": b"ffffffffffffffffff\r\n{}",
    "line ends": b"2\n{}\n",
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_chunk_that_is_none_is_answered_at_once(case: str) -> None:
    async with connection(body_timeout_s=60.0) as raw:
        await raw.send(CHUNKED + b"1\r\n{\r\n")
        await asyncio.sleep(0.05)
        await raw.send(BROKEN[case])
        status, body = await raw.answer()
        assert await raw.rest() == b""
    assert status == 400
    assert "Transfer-Encoding" in orjson.loads(body)["message"]


async def test_a_good_request_behind_a_broken_body_is_not_taken_for_one() -> None:
    async with connection(body_timeout_s=60.0) as raw:
        await raw.send(CHUNKED + b"1\r\n{\r\n")
        await asyncio.sleep(0.05)
        await raw.send(b"zz\r\n" + LIVE)
        assert (await raw.answer())[0] == 400
        assert await raw.rest() == b""


# the log


@pytest.mark.parametrize("case", NOISE)
@pytest.mark.parametrize("end", ["waits", "hangs up", "resets"])
async def test_no_bytes_of_a_client_make_a_traceback_or_an_error(case: str, end: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with connection() as raw:
        await raw.send(NOISE[case])
        if end == "waits":
            await raw.head()
        elif end == "resets":
            raw.writer.transport.abort()
    assert [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.WARNING] == []


async def test_a_request_of_another_encoding_has_one_line_in_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with connection() as raw:
        await raw.send(NOISE["another encoding"])
        assert (await raw.answer())[0] == 400
        await raw.send(LIVE)
        assert (await raw.answer())[0] == 200
    about = [record for record in caplog.records if record.name.startswith(("facade.access", "facade.broken", "aiohttp"))]
    assert [record.getMessage().rpartition(" 400 ")[0] for record in about] == ["POST ranking"]
