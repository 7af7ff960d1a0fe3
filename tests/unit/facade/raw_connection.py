"""A connection whose bytes the test sends itself, to an app that waits a moment for heads and bodies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from facade.config.settings import Settings
from facade.http.app import create_app
from facade.http.server import running
from tests.conftest import free_ports
from tests.contract.scorers import Fixed

TIMEOUT_S = 0.3


@dataclass
class Raw:
    """Both ends of it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def head(self) -> bytes:
        """Status line and header fields of the next answer."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        head = await self.head()
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """All until the server closes the connection."""
        return await asyncio.wait_for(self.reader.read(), 60)


@asynccontextmanager
async def connection(scorer: Fixed | None = None, **settings: Any) -> AsyncIterator[Raw]:
    """A connection to an app of its own, with these settings."""
    (port,) = free_ports(1)
    chosen = Settings(**{"http_port": port, "body_timeout_s": TIMEOUT_S, **settings})
    async with running(create_app(chosen, scorer or Fixed()), chosen):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield Raw(reader, writer)
        finally:
            writer.close()
