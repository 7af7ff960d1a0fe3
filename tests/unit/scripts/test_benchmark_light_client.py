import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scripts.benchmark.light_client import LightClient, Reply


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[str]:
    """A server that gives each connection these bytes, one answer for each request, and then hangs up; its URL."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


async def echo(request: web.Request) -> web.Response:
    """The body, whose it was, and what else counts of the request."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    headers = {"X-Peer": str(peer), "X-Sent": f"{request.method} {request.path} {request.content_type} {request.host}"}
    return web.Response(body=await request.read(), headers=headers)


@asynccontextmanager
async def echoing() -> AsyncIterator[TestServer]:
    application = web.Application(client_max_size=2**24)
    application.router.add_route("*", "/{path:.*}", echo)
    server = TestServer(application)
    async with server:
        yield server


async def test_a_request_arrives_whole_and_its_answer_comes_back_whole() -> None:
    body = b"x" * 5_000_000
    async with echoing() as server, LightClient(address := str(server.make_url("/under/"))) as client:
        posted, got = await client.post("/v1/ranking", body), await client.get("/v1/models")
    assert (posted.status, posted.content) == (200, body)
    assert posted.headers["x-sent"] == f"POST /under/v1/ranking application/json {urlsplit(address).netloc}"
    assert got.content == b""
    assert got.headers["x-sent"].startswith("GET /under/v1/models ")


async def test_a_connection_is_used_again_and_never_by_two_at_a_time() -> None:
    async with echoing() as server, LightClient(str(server.make_url("/"))) as client:
        first = [await client.get("/") for _ in range(3)]
        together = await asyncio.gather(*(client.get("/") for _ in range(3)))
    assert len({reply.headers["x-peer"] for reply in first}) == 1
    assert len({reply.headers["x-peer"] for reply in together}) == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nrig\r\n2\r\nht\r\n0\r\nLater: field\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 5\r\nConnection: close\r\n\r\nright",
        b"HTTP/1.1 200 OK\r\n\r\nright",
        b"HTTP/1.0 200 OK\r\ncontent-length:5\r\n\r\nright",
    ],
)
async def test_an_answer_is_read_however_it_says_where_it_ends(answer: bytes) -> None:
    async with answering(answer) as url, LightClient(url) as client:
        for _ in range(2):
            reply = await client.get("/")
            assert (reply.status, reply.content) == (200, b"right")
            await asyncio.sleep(0.05)  # until the end of the connection has come, too


async def test_two_answers_on_one_connection_are_kept_apart() -> None:
    first, second = (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + content for content in (b"1", b"2"))
    async with answering(first, second) as url, LightClient(url) as client:
        assert [(await client.get("/")).content for _ in range(2)] == [b"1", b"2"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
        b"HTTP/1.1 200 OK\r\nLong: " + b"x" * 100_000,
        b"nonsense\r\n\r\n",
    ],
)
async def test_an_answer_that_ends_early_or_is_not_http_is_an_error(answer: bytes) -> None:
    async with answering(answer) as url, LightClient(url) as client:
        with pytest.raises(ConnectionError, match="the answer ended early or is not HTTP"):
            await client.get("/")


async def test_silence_has_a_limit_and_its_connection_is_not_used_again() -> None:
    heard = asyncio.Event()

    async def silent_once(request: web.Request) -> web.Response:
        if not heard.is_set():
            heard.set()
            await asyncio.sleep(0.3)
        return await echo(request)

    application = web.Application()
    application.router.add_get("/", silent_once)
    async with TestServer(application) as server, LightClient(str(server.make_url("/")), 0.1) as client:
        with pytest.raises(TimeoutError):
            await client.get("/")
        reply = await client.get("/")
    assert isinstance(reply, Reply)
    assert reply.status == 200
