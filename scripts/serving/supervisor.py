"""Keeps one server running: one that exits, or that its watch finds broken, is started again with back-off.

Knows a child process, and when it works; not what it is started with, nor what broken means.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from facade.background import reason
from facade.errors import RerankerError
from scripts.serving.child import Child

LOG = logging.getLogger(__name__)


@dataclass
class Attempts:
    """The attempts to reach a starting server. `awaited`: the event they wait for, with its address. `last`: how the last one failed."""

    awaited: str
    last: str = "no attempt has ended yet"

    def failed(self, error: Exception) -> None:
        """Remember the error of an attempt, with its notes for operators."""
        self.last = "; ".join([reason(error), *getattr(error, "__notes__", ())])

    def __str__(self) -> str:
        return f"waiting for {self.awaited}; last attempt: {self.last}"


@dataclass(frozen=True)
class RestartLimits:
    """Seconds that starts may take, and the pauses between them."""

    start_s: float = 300.0  # weights of gigabytes from a slow disk
    # A restart finds its files in the cache, but perhaps a busy machine: it may take `usual_times` the duration of the last successful
    # start, at least `restart_least_s`, and twice as long after each failed one.
    usual_times: float = 5.0
    restart_least_s: float = 15.0
    # The first restart follows at once: requests wait, and a process that was killed by accident works again.
    backoff_s: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
    stable_s: float = 60.0  # after this lifetime the back-off begins anew
    watch_again_s: float = 1.0


class StartFailedError(RerankerError):
    """A server ended, or was never ready, during its first start."""


@dataclass
class Supervised:
    """One server: how to start it, how to know that it works, and the seconds it has to stop.

    `attempts`: what `ready` waits for, and the last failure. `watch` returns why the running child has to be started again.
    """

    name: str
    start: Callable[[], Awaitable[Child]]
    ready: Callable[[], Awaitable[object]]
    watch: Callable[[Child], Coroutine[Any, Any, str]] | None
    grace_s: float
    attempts: Attempts
    limits: RestartLimits = field(default_factory=RestartLimits)
    child: Child | None = None
    _took_s: float = field(default=0.0, init=False, repr=False)  # the last successful start

    async def launch(self, limit_s: float | None = None) -> None:
        """Start it and wait until it works. Raises StartFailedError if it ends, cannot work, or does not work within `limit_s` seconds."""
        limit_s = limit_s or self.limits.start_s
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
        """The result of `ready`; the child of a failed start is killed."""
        if ready.exception() and self.child:
            await self.child.kill()
        ready.result()

    async def keep(self) -> None:
        """Start it again each time it ends or breaks, until cancelled."""
        failures = failed_starts = 0
        while True:
            began = time.monotonic()
            fault = await self._until_broken()
            failures = 1 if time.monotonic() - began > self.limits.stable_s else failures + 1
            pause = self.limits.backoff_s[min(failures, len(self.limits.backoff_s)) - 1]
            LOG.warning("%s %s; starting it again in %.1f s", self.name, fault, pause)
            await asyncio.sleep(pause)
            try:
                await self.launch(self._restart_limit_s(failed_starts))
                failed_starts = 0
                LOG.info("%s works again", self.name)
            except RerankerError as error:
                failed_starts += 1
                LOG.error("%s", error)  # noqa: TRY400 (the message says why)
            except Exception as error:  # noqa: BLE001 (no memory for a process, for example: the next attempt may have it)
                failed_starts += 1
                LOG.error("%s could not be started (%s)", self.name, reason(error))  # noqa: TRY400 (the reason is in the line)
                await self.kill()

    def _restart_limit_s(self, failed_starts: int) -> float:
        limits = self.limits
        return min(max(limits.restart_least_s, limits.usual_times * self._took_s) * 2.0**failed_starts, limits.start_s)

    async def _until_broken(self) -> str:
        """Wait until the child has to be started again, and kill what is left of it; returns the reason."""
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
        """The reason that `watch` returns; after an exception of `watch` it starts over."""
        while True:
            try:
                return await watch(child)
            except Exception as error:  # noqa: BLE001 (an exception of the watch is no fault of the child)
                LOG.error("the watch of %s failed (%s); watching again", self.name, reason(error))  # noqa: TRY400
                await asyncio.sleep(self.limits.watch_again_s)

    async def _exit(self, child: Child) -> str:
        return f"exited with {await child.wait()}"

    async def stop(self) -> None:
        """Stop it: SIGTERM, and SIGKILL after the grace period."""
        if self.child and not await self.child.stop(self.grace_s):
            LOG.warning("%s did not end within %g s and was killed: see its messages above", self.name, self.grace_s)

    async def kill(self) -> None:
        """Kill it at once."""
        if self.child:
            await self.child.kill()
