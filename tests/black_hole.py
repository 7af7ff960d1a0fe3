"""A TCP proxy in front of a server that loses what it should carry, as a network or a machine does that vanishes without a reset."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class BlackHole:
    """Forwards connections to `target` (host:port). A connection that `swallow` was called on stays open, and nothing goes through it."""

    target: str
    address: str = ""
    connections: int = 0
    _lost: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _away: bool = False

    def swallow(self, *, away: bool = False) -> None:
        """Lose what goes through the connections there are. `away`: and through those that come, until `restore`."""
        self._lost.set()
        self._lost = asyncio.Event()
        self._away = away

    def restore(self) -> None:
        """Carry the connections that come."""
        self._away = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._away:
            await asyncio.Event().wait()
        lost = self._lost
        host, _, port = self.target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        ways = [asyncio.create_task(_carry(*ends)) for ends in ((reader, far_writer), (far_reader, writer))]
        losing = asyncio.create_task(lost.wait())
        try:
            await asyncio.wait([*ways, losing], return_when=asyncio.FIRST_COMPLETED)
            if lost.is_set():
                for way in ways:
                    way.cancel()
                await asyncio.Event().wait()
        finally:
            for task in (*ways, losing):
                task.cancel()
            far_writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def before(target: str) -> AsyncIterator[BlackHole]:
    """A proxy in front of `target`, on a free port of loopback."""
    proxy = BlackHole(target)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await proxy.serve(reader, writer)
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        proxy._tasks.add(task)
        task.add_done_callback(proxy._tasks.discard)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.address = "{}:{}".format(*listening.sockets[0].getsockname())
    try:
        yield proxy
    finally:
        listening.close()
        for task in proxy._tasks:
            task.cancel()
        if proxy._tasks:
            await asyncio.wait(proxy._tasks)
