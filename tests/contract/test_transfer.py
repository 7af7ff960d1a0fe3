"""python -m pytest tests/contract/test_transfer.py

The HTTP around the body: its content type, its encoding, its size.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator

import aiohttp
import orjson
import pytest

from tests.contract.calls import GOOD, JSON, RANKING, call, post, ranked, refused, request
from tests.contract.conftest import StartApp
from tests.contract.scorers import Fixed


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", "x"])
async def test_a_content_type_other_than_json_is_refused(client: aiohttp.ClientSession, content_type: str) -> None:
    refused(await call(client, "POST", RANKING, data=orjson.dumps(GOOD), headers={"Content-Type": content_type}), 415)


async def test_a_missing_content_type_is_refused(client: aiohttp.ClientSession) -> None:
    answer = await call(client, "POST", RANKING, data=orjson.dumps(GOOD), skip_auto_headers=["Content-Type"])
    refused(answer, 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"])
async def test_json_s_content_type_may_have_a_charset_and_any_case(client: aiohttp.ClientSession, content_type: str) -> None:
    ranked(await call(client, "POST", RANKING, data=orjson.dumps(GOOD), headers={"Content-Type": content_type}))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_is_not_encoded_as_declared_is_refused(client: aiohttp.ClientSession, encoding: str) -> None:
    answer = await call(client, "POST", RANKING, data=b"no such encoding", headers={**JSON, "Content-Encoding": encoding})
    refused(answer, 400)


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip"])
async def test_an_encoding_that_the_server_cannot_unpack_is_refused_and_those_that_it_can_are_named(
    client: aiohttp.ClientSession, encoding: str
) -> None:
    answer = await call(client, "POST", RANKING, data=b"whatever", headers={**JSON, "Content-Encoding": encoding})
    assert "gzip, deflate" in refused(answer, 415)["message"]
    assert answer.headers["Accept-Encoding"] == "gzip, deflate"


async def test_a_compressed_body_that_is_cut_off_is_refused(client: aiohttp.ClientSession) -> None:
    for missing in (1, 20):  # of the checksum alone, and of the text
        body = gzip.compress(orjson.dumps(GOOD))[:-missing]
        answer = await call(client, "POST", RANKING, data=body, headers={**JSON, "Content-Encoding": "gzip"})
        assert "cut off" in refused(answer, 400)["message"]


@pytest.mark.parametrize("text", ['{"query": {"text": "Größe"}}'.encode("latin-1"), '{"query": {"text": "Größe"}}'.encode("utf-16")])
@pytest.mark.parametrize("charset", ["", "; charset=iso-8859-1", "; charset=utf-16"])
async def test_a_body_in_another_encoding_than_utf_8_is_reported(client: aiohttp.ClientSession, text: bytes, charset: str) -> None:
    answer = await call(client, "POST", RANKING, data=text, headers={"Content-Type": f"application/json{charset}"})
    assert "send UTF-8" in refused(answer, 400)["message"]


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZIP"])
async def test_a_compressed_body_is_read(client: aiohttp.ClientSession, name: str) -> None:
    headers = {**JSON, "Content-Encoding": name}
    ranked(await call(client, "POST", RANKING, data=gzip.compress(orjson.dumps(GOOD)), headers=headers))


async def test_a_body_over_the_limit_is_refused_by_its_content_length(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    assert "too large" in refused(await post(client, request("a", ["b" * 1000])), 413)["message"]


async def test_a_body_of_exactly_the_limit_is_answered(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    body = orjson.dumps(GOOD)
    ranked(await post(client, body + b" " * (1000 - len(body))))
    refused(await post(client, body + b" " * (1001 - len(body))), 413)


async def test_a_chunked_body_over_the_limit_is_refused(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    refused(await call(client, "POST", RANKING, data=_pieces(20), headers=JSON), 413)


async def test_a_chunked_body_under_the_limit_is_answered(client: aiohttp.ClientSession) -> None:
    ranked(await call(client, "POST", RANKING, data=_pieces(1), headers=JSON))


async def test_a_compressed_body_counts_by_what_it_unpacks_to(app: StartApp) -> None:
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    bomb = gzip.compress(orjson.dumps(request("a", ["b" * 100_000])))
    assert len(bomb) < 1000
    refused(await call(client, "POST", RANKING, data=bomb, headers={**JSON, "Content-Encoding": "gzip"}), 413)


async def test_a_body_far_over_the_limit_is_refused_before_it_has_come(app: StartApp) -> None:
    """The sender learns of its 413 at once, and not when it has sent a gigabyte that is not read."""
    client = await app(Fixed(), RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(
        b"POST /v1/ranking HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n" + b" " * 1001
    )
    await writer.drain()
    status = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    assert status.split()[1] == b"413"


async def _pieces(count: int) -> AsyncIterator[bytes]:
    """A good body in pieces, with `count` times 100 blanks before it."""
    for _ in range(count):
        yield b" " * 100
    for byte in orjson.dumps(GOOD):
        yield bytes([byte])
