"""python -m pytest tests/unit/facade/http/test_expectation.py

A client that waits with its body is asked for it only where it will be read.
"""

import hashlib
from pathlib import Path

import orjson
import pytest

from tests.contract.calls import GOOD
from tests.unit.facade.raw_connection import connection

BODY = orjson.dumps(GOOD)
JSON = b"Content-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CONTINUE = b"Expect: 100-continue\r\n"


def post(*fields: bytes, path: bytes = b"/v1/ranking", version: bytes = b"1.1") -> bytes:
    return b"POST %s HTTP/%s\r\nHost: here\r\n%s\r\n" % (path, version, b"".join(fields))


@pytest.mark.parametrize("expect", [CONTINUE, b"expect: 100-Continue\r\n"])
async def test_a_client_that_waits_is_asked_for_its_body_and_answered(expect: bytes) -> None:
    async with connection(body_timeout_s=20.0) as raw:
        for _ in range(2):
            await raw.send(post(JSON, LENGTH, expect))
            assert await raw.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            await raw.send(BODY)
            assert (await raw.answer())[0] == 200


async def test_a_client_that_waits_no_longer_is_answered() -> None:
    async with connection(body_timeout_s=20.0) as raw:
        await raw.send(post(JSON, LENGTH, CONTINUE) + BODY)
        assert (await raw.head()).startswith(b"HTTP/1.1 100 ")
        assert (await raw.answer())[0] == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (post(JSON, CONTINUE, b"Content-Length: 1000000000\r\n"), b"413"),
        (post(LENGTH, CONTINUE), b"415"),
        (post(JSON, LENGTH, CONTINUE, b"Content-Encoding: br\r\n"), b"415"),
        (post(JSON, LENGTH, CONTINUE, b"X-Priority: first\r\n"), b"400"),
        (post(JSON, LENGTH, CONTINUE, path=b"/v1/nothing"), b"404"),
        (post(JSON, LENGTH, CONTINUE, path=b"/v1/models"), b"405"),
    ],
)
async def test_what_is_refused_for_its_head_is_not_asked_for_its_body(head: bytes, status: bytes) -> None:
    async with connection(body_timeout_s=20.0) as raw:
        await raw.send(head)
        answer = await raw.head()
        assert answer.split()[1] == status
        assert b"connection: close" in answer.lower()  # whether the body still comes can't be known


async def test_a_key_is_asked_for_before_the_body(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"search sha256:{hashlib.sha256(b'k').hexdigest()}\n")
    async with connection(body_timeout_s=20.0, api_keys_file=keys) as raw:
        await raw.send(post(JSON, LENGTH, CONTINUE))
        assert (await raw.head()).split()[1] == b"401"


@pytest.mark.parametrize("expect", [b"200-ok", b"100-continue, 200-ok", b"zanzibar"])
@pytest.mark.parametrize("path", [b"/v1/ranking", b"/v1/nothing", b"/v1/models"])
async def test_another_expectation_is_refused_in_the_envelope(expect: bytes, path: bytes) -> None:
    async with connection(body_timeout_s=20.0) as raw:
        await raw.send(post(JSON, LENGTH, b"Expect: %s\r\n" % expect, path=path) + BODY)
        status, body = await raw.answer()
    assert status == 417
    reported = orjson.loads(body)
    assert set(reported) == {"object", "message", "detail", "type"}
    assert "100-continue" in reported["message"]
    assert b"zanzibar" not in body


async def test_http_1_0_has_no_expectations() -> None:
    async with connection(body_timeout_s=20.0) as raw:
        await raw.send(post(JSON, LENGTH, b"Expect: 200-ok\r\n", version=b"1.0") + BODY)
        assert (await raw.answer())[0] == 200
