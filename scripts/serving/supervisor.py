"""Keeps one server running: one that exits, or that its watch finds broken, is started again with back-off.

Knows a child and when it works; what it is started with, and what broken means, others know.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from facade.background import reason
from facade.errors import RerankerError
from scripts.serving.attempts import Attempts
from scripts.serving.child import Child

LOG = logging.getLogger(__name__)

_START_TIMEOUT_S = 300.0  # loading weights of gigabytes from a slow disk
# A later start has its files cached, but maybe a busy machine: so many times as long as the last one that worked, and at least so long. One
# that hangs is given up then; each time the next one gets twice as long, in case it was the machine.
_USUAL_TIMES = 5.0
_RESTART_LEAST_S = 15.0
# The first time at once: callers wait, and what was killed by accident works again.
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_WATCH_AGAIN_S = 1.0
_STABLE_S = 60.0  # a child that lived this long has its back-off forgotten


class StartFailedError(RerankerError):
    """A server ended, or was never ready, while it was first started."""


@dataclass
class Supervised:
    """One server: how to start it, how to know that it works, and the seconds of grace that it gets to stop.

    `attempts`: what `ready` waits for, and what it has seen.
    """

    name: str
    start: Callable[[], Awaitable[Child]]
    ready: Callable[[], Awaitable[object]]
    watch: Callable[[Child], Coroutine[Any, Any, str]] | None
    grace_s: float
    attempts: Attempts
    child: Child | None = None
    _took_s: float = field(default=0.0, init=False, repr=False)  # the last start that worked

    async def launch(self, limit_s: float | None = None) -> None:
        """Start it and wait until it works. Raises StartFailedError where it ends before, can't work, or does not work in time."""
        limit_s = limit_s or _START_TIMEOUT_S
        began = time.monotonic()
        self.child = await self.start()
        ready = asyncio.ensure_future(self.ready())
        ended = asyncio.ensure_future(self.child.wait())
        try:
            await asyncio.wait({ready, ended}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                await self._result(ready)
                self._took_s = time.monotonic() - began
                return
        finally:
            for task in (ready, ended):
                task.cancel()
        code = self.child.exit_code
        await self.child.kill()
        if code is None:
            raise StartFailedError(f"{self.name} was not ready within {limit_s:.0f} s ({self.attempts}); see its messages above")
        raise StartFailedError(f"{self.name} exited with {code}; its messages above say why")

    async def _result(self, ready: asyncio.Future[object]) -> None:
        """Nothing of it stays where it can't work."""
        if ready.exception() and self.child:
            await self.child.kill()
        ready.result()

    async def keep(self) -> None:
        """Start it again whenever it ends or breaks; runs until cancelled."""
        failures = failed_starts = 0
        while True:
            began = time.monotonic()
            fault = await self._until_broken()
            failures = 1 if time.monotonic() - began > _STABLE_S else failures + 1
            pause = _BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1]
            LOG.warning("%s %s; starting it again in %.1f s", self.name, fault, pause)
            await asyncio.sleep(pause)
            try:
                await self.launch(min(max(_RESTART_LEAST_S, _USUAL_TIMES * self._took_s) * 2**failed_starts, _START_TIMEOUT_S))
                failed_starts = 0
                LOG.info("%s works again", self.name)
            except RerankerError as error:
                failed_starts += 1
                LOG.error("%s", error)  # noqa: TRY400 (the message is the whole story)
            except Exception as error:  # noqa: BLE001 (as no memory for a process: it may be there at the next try)
                failed_starts += 1
                LOG.error("%s could not be started (%s)", self.name, reason(error))  # noqa: TRY400 (the reason is in the line)
                await self.kill()

    async def _until_broken(self) -> str:
        """The reason why the child has to be started again; whatever was left of it is gone by then."""
        if self.child is None:
            return "was never started"
        tasks = {asyncio.create_task(self._exit(self.child))}
        if self.watch:
            tasks.add(asyncio.create_task(self._watched(self.watch, self.child)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        await self.child.kill()
        return done.pop().result()

    async def _watched(self, watch: Callable[[Child], Coroutine[Any, Any, str]], child: Child) -> str:
        """The fault that `watch` finds; where it fails itself, the child is watched again."""
        while True:
            try:
                return await watch(child)
            except Exception as error:  # noqa: BLE001 (a watch that fails says nothing of the child)
                LOG.error("the watch of %s failed (%s); watching again", self.name, reason(error))  # noqa: TRY400
                await asyncio.sleep(_WATCH_AGAIN_S)

    async def _exit(self, child: Child) -> str:
        return f"exited with {await child.wait()}"

    async def stop(self) -> None:
        """Stop it for good."""
        if self.child and not await self.child.stop(self.grace_s):
            LOG.warning("%s did not end within %g s and was killed: see its messages above", self.name, self.grace_s)

    async def kill(self) -> None:
        """End it at once."""
        if self.child:
            await self.child.kill()
