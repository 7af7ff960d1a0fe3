"""python -m pytest tests/contract/test_privacy.py

No text of a query, a passage or any other value leaves the server in an error or a log. Names of fields may be repeated: the caller chose
them, and needs to see which one is meant.
"""

import asyncio
import logging
import uuid
from typing import Any

import aiohttp
import orjson
import pytest
from yarl import URL

from tests.conftest import Server
from tests.contract.calls import JSON, RANKING, call, eventually, get, post, ranked, refused, request
from tests.contract.conftest import StartApp
from tests.contract.scorers import Failing, Fixed

SECRET = "zanzibar-7141"
HOSTED = "/v1/retrieval/nvidia/reranking"
GOOD = request(f"query {SECRET}", [f"passage {SECRET}", f"another {SECRET}"])

BAD_BODIES: dict[str, tuple[object, int]] = {
    "too long": (request(SECRET, [f"{SECRET} " * 600]), 422),
    "unknown model": ({**GOOD, "model": "nvidia/other"}, 404),  # the one value that is repeated: it is a name, not text
    "long model": ({**GOOD, "model": SECRET * 20}, 400),
    "model of a wrong type": ({**GOOD, "model": [SECRET]}, 400),
    "unknown field's value": ({**GOOD, "top_k": SECRET}, 400),
    "unknown field of the query": ({**GOOD, "query": {"text": SECRET, "lang": SECRET}}, 400),
    "unknown field of a passage": ({**GOOD, "passages": [{"text": SECRET, "title": {"deep": [SECRET]}}]}, 400),
    "truncate": ({**GOOD, "truncate": SECRET}, 400),
    "query as text": ({**GOOD, "query": SECRET}, 400),
    "query as list": ({**GOOD, "query": [SECRET]}, 400),
    "query text as list": ({**GOOD, "query": {"text": [SECRET]}}, 400),
    "passages as text": ({**GOOD, "passages": SECRET}, 400),
    "passages as object": ({**GOOD, "passages": {"text": SECRET}}, 400),
    "passage as text": ({**GOOD, "passages": [SECRET]}, 400),
    "passage text as object": ({**GOOD, "passages": [{"text": {"value": SECRET}}]}, 400),
    "no passages": (request(SECRET, []), 400),
    "513 passages": (request(SECRET, [SECRET] * 513), 400),
    "no query": ({"passages": [{"text": SECRET}]}, 400),
    "image": ({**GOOD, "passages": [{"text": SECRET, "image": SECRET}]}, 400),
    "a string": (SECRET, 400),
    "a list": ([SECRET], 400),
    "cut off": (orjson.dumps(GOOD)[:-3], 400),
    "no JSON": (SECRET.encode(), 400),
    "NaN": (orjson.dumps(GOOD)[:-1] + b',"top_k":NaN}', 400),
    "lone surrogate": (b'{"query":{"text":"%s\\ud800"},"passages":[{"text":"a"}]}' % SECRET.encode(), 400),
    "invalid UTF-8": (b'{"query":{"text":"%s\xff"},"passages":[{"text":"a"}]}' % SECRET.encode(), 400),
    "deep": (b'{"query":' + b'{"text":' * 5000 + orjson.dumps(SECRET) + b"}" * 5001, 400),
}


_HEAD = b"POST /v1/ranking HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MALFORMED = {
    "no request line": SECRET.encode() + b"\r\n\r\n",
    "NUL in a header": _HEAD + b"Authorization: Bearer %s\x00\r\n\r\n" % SECRET.encode(),
    "header without colon": _HEAD + SECRET.encode() + b"\r\n\r\n",
    "length that is no number": _HEAD + b"Content-Length: %s\r\n\r\n" % SECRET.encode(),
    "chunk without a length": _HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + orjson.dumps(GOOD) + b"\r\n",
}


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Everything that was logged at any level: arguments, fields and tracebacks included."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(record)} {vars(record)!r}" for record in caplog.records)


async def output_since(before: int, client: aiohttp.ClientSession, server: Server) -> str:
    """What the server wrote since it had written `before` characters, once it has certainly written all of it."""
    last = uuid.uuid4().hex
    await post(client, GOOD, **{"X-Request-Id": last})

    async def written() -> bool:
        return last in server.output()

    await eventually(written, "the access log has the last request")
    return server.output()[before:]


async def exchange(server: Server, sent: bytes) -> bytes:
    """All that comes back for these bytes."""
    address = URL(server.http)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return answer


@pytest.mark.parametrize(("body", "status"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_refusal_repeats_no_value_of_the_body(client: aiohttp.ClientSession, body: object, status: int) -> None:
    answer = await post(client, body)
    refused(answer, status)
    assert SECRET not in answer.text
    assert SECRET not in str(answer.headers)


@pytest.mark.parametrize("body", [body for body, _ in BAD_BODIES.values()], ids=BAD_BODIES)
async def test_a_hosted_route_repeats_no_value_of_the_body(client: aiohttp.ClientSession, body: object) -> None:
    answer = await post(client, body, HOSTED)
    if answer.status != 200:  # unknown fields are ignored there, and too long passages cut
        assert 400 <= answer.status < 500
        refused(answer, answer.status)
    assert SECRET not in answer.text
    assert SECRET not in str(answer.headers)


@pytest.mark.parametrize("path", [RANKING, HOSTED], ids=["strict", "hosted"])
@pytest.mark.parametrize("body", [body for body, _ in BAD_BODIES.values()], ids=BAD_BODIES)
async def test_the_log_at_its_most_talkative_has_no_value_of_the_body(
    app: StartApp, caplog: pytest.LogCaptureFixture, path: str, body: object
) -> None:
    caplog.set_level(logging.DEBUG)
    client = await app(Fixed(), NIM_LOG_LEVEL="DEBUG")
    await post(client, body, path)
    assert "'request_id': " in logged(caplog)
    assert SECRET not in logged(caplog)


async def test_the_log_of_an_answered_request_has_no_text_even_with_the_real_triton(
    real_app: StartApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = await real_app(NIM_LOG_LEVEL="DEBUG")
    ranked(await post(client, GOOD))
    ranked(await post(client, request(SECRET, [f"{SECRET} " * 600], truncate="END")))
    assert caplog.records
    assert SECRET not in logged(caplog)


def _bug() -> Exception:
    """An error that holds text in every place that a traceback shows."""
    error = RuntimeError(f"outer {SECRET}")
    error.__cause__ = ValueError(f"inner {SECRET}")
    error.add_note(f"note {SECRET}")
    return error


@pytest.mark.parametrize("error", [_bug, lambda: UnicodeEncodeError("utf-8", SECRET, 0, 1, SECRET)], ids=["chained", "unicode"])
async def test_an_internal_error_that_holds_text_shows_it_to_no_client(app: StartApp, caplog: pytest.LogCaptureFixture, error: Any) -> None:
    caplog.set_level(logging.DEBUG)
    client = await app(Failing(error))
    answer = await post(client, GOOD, **{"X-Request-Id": "crash-1"})
    refused(answer, 500)
    assert SECRET not in answer.text
    assert SECRET not in logged(caplog)
    reported = [f"{record.getMessage()} {vars(record)}" for record in caplog.records if record.levelno >= logging.ERROR]
    assert any(type(error()).__name__ in line and "crash-1" in line for line in reported)


async def test_a_client_that_leaves_is_logged_without_its_text(app: StartApp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await app(Fixed())
    _, writer = await asyncio.open_connection(client.host, client.port)
    head = b"POST /v1/ranking HTTP/1.1\r\nHost: x\r\nX-Request-Id: leaver\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
    writer.write(head + orjson.dumps(GOOD))
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async def noticed() -> bool:
        return "leaver" in logged(caplog)

    await eventually(noticed, "the access log has the client's disconnect")
    assert SECRET not in logged(caplog)


# what stands around the body


@pytest.mark.parametrize(
    "path", [f"/{SECRET}", f"/v1/{SECRET}", f"/v1/ranking/{SECRET}", f"/docs/{SECRET}.js", f"/v1/nothing?key={SECRET}"]
)
async def test_an_unknown_path_is_not_repeated(client: aiohttp.ClientSession, path: str) -> None:
    answer = await get(client, path)
    refused(answer, 404)
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": f"text/{SECRET}"},
        {"Content-Type": f"text/plain; charset={SECRET}"},
        {"Content-Type": "text/plain", "Authorization": f"Bearer {SECRET}"},
        {"Content-Type": "text/plain", "Cookie": f"session={SECRET}"},
        {"Content-Type": "text/plain", "User-Agent": SECRET, "Referer": SECRET},
        {"Content-Type": "text/plain", "X-Request-Id": f"malformed {SECRET}"},
    ],
    ids=["content type", "charset", "authorization", "cookie", "agent", "request id"],
)
async def test_a_header_is_not_repeated(client: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    answer = await call(client, "POST", RANKING, data=orjson.dumps(GOOD), headers=headers)
    refused(answer, 415)
    assert SECRET not in answer.text
    assert SECRET not in str(answer.headers)


async def test_the_real_server_s_output_has_none_of_it(client: aiohttp.ClientSession, server: Server) -> None:
    """All of the above once more against the real server, at the log level that it is run with."""
    before = len(server.output())
    ranked(await post(client, GOOD))
    ranked(await post(client, request(SECRET, [f"{SECRET} " * 600], truncate="END")))
    for body, _ in BAD_BODIES.values():
        await post(client, body)
        await post(client, body, f"/v1/retrieval/{SECRET}/reranking")
    await get(client, f"/{SECRET}?key={SECRET}")
    await call(client, "POST", RANKING, data=SECRET, headers={**JSON, "Authorization": f"Bearer {SECRET}", "Cookie": SECRET})
    await call(client, "POST", RANKING, data=SECRET, headers={"Content-Type": f"text/{SECRET}", "X-Request-Id": f"a {SECRET}"})
    assert SECRET not in await output_since(before, client, server)


# requests that are no HTTP, which no handler gets to see


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_a_request_that_is_no_http_is_not_logged(client: aiohttp.ClientSession, server: Server, sent: bytes) -> None:
    before = len(server.output())
    await exchange(server, sent)
    assert SECRET not in await output_since(before, client, server)


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_a_request_that_is_no_http_is_refused_and_not_repeated(server: Server, sent: bytes) -> None:
    answer = await exchange(server, sent)
    assert answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert SECRET.encode() not in answer


# field names


async def test_a_field_s_name_is_repeated_so_that_the_caller_finds_it(client: aiohttp.ClientSession) -> None:
    assert SECRET in refused(await post(client, {**GOOD, SECRET: 1}), 400)["message"]
