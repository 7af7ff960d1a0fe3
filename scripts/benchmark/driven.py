"""This end of a driver's lines: a contender in process that is started, asked one line at a time, and stopped. Knows no peer."""

from __future__ import annotations

import asyncio
import json
import os
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from scripts.benchmark.load import Answer, RefusedError
from scripts.benchmark.process import GRACE_S, START_S, Running, StartError, leash
from scripts.benchmark.wire import TIMEOUT_S
from scripts.benchmark.workload import Ask
from scripts.benchmark.workplace import ROOT

_LONGEST_LINE = 64 * 1024 * 1024  # bytes; asyncio's own limit is 64 KiB


@dataclass(frozen=True)
class Driver:
    """How a driver is started; it runs in the repository's folder."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Lines:
    """A driver that is up. Call it with an Ask for the Answer; several wait in line."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._turn = asyncio.Lock()

    async def __call__(self, ask: Ask) -> Answer:
        """Raises RefusedError where there are no scores."""
        return await self.together([ask])

    async def together(self, asks: Sequence[Ask]) -> Answer:
        """The scores of several requests in a row, which the driver may batch as it likes. Raises RefusedError."""
        if self._child.stdin is None:
            raise RefusedError("the driver takes no lines")
        async with self._turn:
            with suppress(ConnectionError):
                self._child.stdin.write(json.dumps([asdict(ask) for ask in asks]).encode() + b"\n")
                await self._child.stdin.drain()
            try:
                told = await self.read(TIMEOUT_S)
            except TimeoutError:
                self._child.kill()  # a line that comes late would be taken for the next request's
                raise
        if "scores" not in told:
            raise RefusedError(str(told.get("error", "the answer has no scores")))
        return Answer([float(score) for scores in told["scores"] for score in scores], told.get("engine_s"))

    async def read(self, limit_s: float) -> dict[str, Any]:
        """The next line. Raises RefusedError where it doesn't come, TimeoutError where it takes too long."""
        if self._child.stdout is None:
            raise RefusedError("the driver tells nothing")
        line = await asyncio.wait_for(self._child.stdout.readline(), limit_s)
        if not line:
            raise RefusedError("the driver has ended")
        told: dict[str, Any] = json.loads(line)
        return told


@asynccontextmanager
async def driven(driver: Driver, log: Path) -> AsyncIterator[Running]:
    """The driver, from when its model is loaded; what it prints beside its answers goes to `log`. Raises StartError."""
    began = time.monotonic()
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *leash(),
            *driver.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=output,
            cwd=ROOT,
            env={**os.environ, **driver.environment},
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
    lines = Lines(child)
    try:
        try:
            await lines.read(START_S)
        except (RefusedError, TimeoutError, ValueError) as error:
            raise StartError(f"{driver.name} did not start ({error}): see {log}") from None
        yield Running(lines, time.monotonic() - began, psutil.Process(child.pid))
    finally:
        await _stop(child)


async def _stop(child: asyncio.subprocess.Process) -> None:
    """An end of its lines lets it finish; if it doesn't, SIGKILL."""
    if child.stdin is not None:
        child.stdin.close()
    with suppress(ProcessLookupError, TimeoutError):
        child.terminate()
        await asyncio.wait_for(child.wait(), GRACE_S)
    with suppress(ProcessLookupError):
        child.kill()
    await child.wait()
