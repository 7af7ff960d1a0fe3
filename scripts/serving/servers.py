"""Triton and the facade together: started one after the other, kept running, and stopped in order. Knows neither's command line."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from facade.background import running
from scripts.serving.supervisor import StartFailedError, Supervised
from scripts.serving.versions import Versions

LOG = logging.getLogger("serve")


@dataclass(frozen=True)
class Orders:
    """What the signals ask for. `stop`: stop in order, requests in flight are finished. `kill`: end at once, also during a stop."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    kill: asyncio.Event = field(default_factory=asyncio.Event)

    def interrupt(self) -> None:
        """Stop; at the second call, kill."""
        (self.kill if self.stop.is_set() else self.stop).set()


@dataclass(frozen=True)
class Progress:
    """Seconds: how often a start that goes on is logged, and after which time with what it waits for."""

    every_s: float = 5.0
    unusual_s: float = 29.0  # the seventh line; only large models take longer


@dataclass(frozen=True)
class Servers:
    """Both children, the versions that Triton can be started with, and a task that runs beside them while both run."""

    triton: Supervised
    facade: Supervised
    versions: Versions
    beside: Callable[[], Coroutine[Any, Any, None]]
    progress: Progress = field(default_factory=Progress)

    async def run(self, orders: Orders, announce: Callable[[], None]) -> None:
        """Start both, call `announce`, keep both running, and at the end stop the facade before Triton. Raises StartFailedError."""
        stopping = asyncio.create_task(orders.stop.wait())
        tasks: list[asyncio.Task[Any]] = [stopping]
        try:
            for server, launching in ((self.triton, self._launch_triton), (self.facade, self.facade.launch)):
                launch = asyncio.create_task(launching())
                await self._log_progress(server, launch, stopping)
                if orders.stop.is_set():
                    tasks.append(launch)
                    return
                launch.result()
            announce()
            tasks += [asyncio.create_task(server.keep()) for server in (self.triton, self.facade)]
            async with running(self.beside()):  # its failure does not stop the servers
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # an exception of the supervision itself must not look like a clean stop
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            LOG.info("stopping: the facade finishes its requests, then Triton")
            await _stop((self.facade, self.triton), orders.kill)
            LOG.info("stopped")

    async def _launch_triton(self) -> None:
        """Start Triton with the newest version that it can load. Raises StartFailedError if there is none."""
        while True:
            try:
                return await self.triton.launch()
            except StartFailedError:
                if not await asyncio.to_thread(self.versions.another):
                    raise

    async def _log_progress(self, server: Supervised, launch: asyncio.Task[None], stopping: asyncio.Task[Any]) -> None:
        """Wait for the launch or the order to stop; log regularly that the start goes on."""
        LOG.info("starting %s ...", server.name)
        began = time.monotonic()
        while not (await asyncio.wait({launch, stopping}, timeout=self.progress.every_s, return_when=asyncio.FIRST_COMPLETED))[0]:
            seconds = time.monotonic() - began
            waiting = f" ({server.attempts})" if seconds > self.progress.unusual_s else ""
            LOG.info("still starting %s after %.0f s%s", server.name, seconds, waiting)


async def _stop(servers: Sequence[Supervised], kill: asyncio.Event) -> None:
    """Stop one after the other; once `kill` is set, kill the rest."""
    killing = asyncio.create_task(kill.wait())
    for server in servers:
        ending = asyncio.create_task(server.stop())
        await asyncio.wait({ending, killing}, return_when=asyncio.FIRST_COMPLETED)
        if kill.is_set():
            LOG.warning("killing %s: its requests in flight are lost", server.name)
            await server.kill()
        await ending
    killing.cancel()
