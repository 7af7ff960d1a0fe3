"""A cheap HTTP/1.1 client, for a benchmark on the same cores as the server it loads.

aiohttp's client takes twice the processor time and adds 0.4 ms to an answer (measured). Does not know what is sent.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_NO_HTTP = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError)


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers by lower-case name, and raw content."""

    status: int
    headers: dict[str, str]
    content: bytes


class LightClient:
    """Keep-alive connections to one server, as many as there are concurrent requests; an async context manager."""

    def __init__(self, url: str, limit_s: float = 300.0) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/")
        self._fields = f"HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
        self._limit_s = limit_s
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for _, writer in self._idle:
            writer.close()

    async def get(self, path: str) -> Reply:
        """Raises OSError if there is no answer in time, or one that is not HTTP."""
        return await self._send(f"GET {self._prefix}{path} {self._fields}\r\n".encode())

    async def post(self, path: str, body: bytes) -> Reply:
        """POST of JSON. Raises OSError if there is no answer in time, or one that is not HTTP."""
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self._send(f"POST {self._prefix}{path} {self._fields}{length}".encode(), body)

    async def _send(self, *request: bytes) -> Reply:
        async with asyncio.timeout(self._limit_s):
            reader, writer = await self._connection()
            kept = False
            try:
                writer.writelines(request)
                reply, kept = await _read(reader)
            except _NO_HTTP as error:
                raise ConnectionError(f"the answer ended early or is not HTTP ({type(error).__name__})") from None
            finally:
                if kept:
                    self._idle.append((reader, writer))
                else:
                    writer.close()
        return reply

    async def _connection(self) -> _Connection:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port, ssl=self._tls)


async def _read(reader: asyncio.StreamReader) -> tuple[Reply, bool]:
    """The reply, and whether the connection can be reused."""
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    version, status, *_ = status_line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    kept = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    if headers.get("transfer-encoding", "").lower() == "chunked":
        content = await _chunks(reader)
    elif "content-length" in headers:
        content = await reader.readexactly(int(headers["content-length"]))
    else:
        content, kept = await reader.read(), False
    return Reply(int(status), headers, content), kept


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailing headers
    return b"".join(chunks)
