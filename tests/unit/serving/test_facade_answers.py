"""python -m pytest tests/unit/serving/test_facade_answers.py

Any answer shows that the facade lives; nothing that listens, and nothing that is heard, are told apart.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from facade.errors import DeadlineExceededError, NotReadyError
from scripts.serving.facade_answers import facade_answers
from tests.conftest import free_ports
from tests.hardening.certificates import self_signed
from tests.unit.waiting import PATIENCE_S

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(answer: bytes | None, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that gives this answer and hangs up; None: it says nothing. Its address."""
    over = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await over.wait()
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        over.set()


@pytest.mark.parametrize("status", [b"200 OK", b"401 Unauthorized", b"503 Service Unavailable"])
async def test_any_answer_counts(status: bytes) -> None:
    async with listening(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as address:
        await facade_answers(f"http://{address}/", PATIENCE_S)


async def test_a_connection_that_is_closed_again_counts() -> None:
    async with listening(b"") as address:
        await facade_answers(f"http://{address}/", PATIENCE_S)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_wants_a_certificate_lives(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    own = self_signed(tmp_path, "reranker.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.load_verify_locations(own.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = newest
    async with listening(b"never sent", context) as address:
        await facade_answers(f"https://{address}/", PATIENCE_S)


async def test_nothing_that_listens_is_a_refusal() -> None:
    with pytest.raises(NotReadyError):
        await facade_answers(f"http://127.0.0.1:{free_ports(1)[0]}/", PATIENCE_S)


async def test_nothing_that_is_heard_is_a_silence() -> None:
    async with listening(None) as address:
        with pytest.raises(DeadlineExceededError):
            await facade_answers(f"http://{address}/", 0.1)
