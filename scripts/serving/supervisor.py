"""Keeps one server running: one that exits, or that its watch finds broken, is started again with back-off.

Knows a child and when it works; what it is started with, and what broken means, others know.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from facade.errors import RerankerError
from scripts.serving.child import Child

LOG = logging.getLogger(__name__)

_START_TIMEOUT_S = 300.0  # loading weights of gigabytes from a slow disk
# The first time at once: callers wait, and what was killed by accident works again.
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_STABLE_S = 60.0  # a child that lived this long has its back-off forgotten


class StartFailedError(RerankerError):
    """A server ended, or was never ready, while it was first started."""


@dataclass
class Supervised:
    """One server: how to start it, how to know that it works, and the seconds of grace that it gets to stop."""

    name: str
    start: Callable[[], Awaitable[Child]]
    ready: Callable[[], Awaitable[object]]
    watch: Callable[[Child], Coroutine[Any, Any, str]] | None
    grace_s: float
    child: Child | None = None

    async def launch(self) -> None:
        """Start it and wait until it works. Raises StartFailedError where it ends before, or never does."""
        self.child = await self.start()
        ready = asyncio.ensure_future(self.ready())
        ended = asyncio.ensure_future(self.child.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=_START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                ready.result()
                return
        finally:
            for task in (ready, ended):
                task.cancel()
        code = self.child.exit_code
        await self.child.kill()
        fate = f"exited with {code}" if code is not None else f"was not ready within {_START_TIMEOUT_S:.0f} s"
        raise StartFailedError(f"{self.name} {fate}; its messages above say why")

    async def keep(self) -> None:
        """Start it again whenever it ends or breaks; runs until cancelled."""
        failures = 0
        while True:
            began = time.monotonic()
            reason = await self._until_broken()
            failures = 1 if time.monotonic() - began > _STABLE_S else failures + 1
            pause = _BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1]
            LOG.warning("%s %s; starting it again in %.1f s", self.name, reason, pause)
            await asyncio.sleep(pause)
            try:
                await self.launch()
                LOG.info("%s works again", self.name)
            except StartFailedError as error:
                LOG.error("%s", error)  # noqa: TRY400 (the message is the whole story)

    async def _until_broken(self) -> str:
        """The reason why the child has to be started again; whatever was left of it is gone by then."""
        if self.child is None:
            return "was never started"
        tasks = {asyncio.create_task(self._exit(self.child))}
        if self.watch:
            tasks.add(asyncio.create_task(self.watch(self.child)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        await self.child.kill()
        return done.pop().result()

    async def _exit(self, child: Child) -> str:
        return f"exited with {await child.wait()}"

    async def stop(self) -> None:
        """Stop it for good."""
        if self.child:
            await self.child.stop(self.grace_s)

    async def kill(self) -> None:
        """End it at once."""
        if self.child:
            await self.child.kill()
