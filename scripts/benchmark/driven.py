"""The client of a driver: starts it, exchanges lines of JSON with it, and stops it. Does not know the peers."""

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
from scripts.benchmark.workload import Request
from scripts.benchmark.workplace import ROOT

_LONGEST_LINE = 64 * 1024 * 1024  # bytes; asyncio's own limit is 64 KiB


@dataclass(frozen=True)
class Driver:
    """A driver's command; it runs in the repository's folder."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Lines:
    """A running driver. Calling it with a Request gives the Answer; concurrent calls take turns."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._turn = asyncio.Lock()

    async def __call__(self, request: Request) -> Answer:
        """Raises RefusedError if there are no scores."""
        return await self.together([request])

    async def together(self, requests: Sequence[Request]) -> Answer:
        """The scores of several requests, concatenated; the driver may batch them. Raises RefusedError."""
        if self._child.stdin is None:
            raise RefusedError("the driver has no stdin")
        async with self._turn:
            with suppress(ConnectionError):
                self._child.stdin.write(json.dumps([asdict(request) for request in requests]).encode() + b"\n")
                await self._child.stdin.drain()
            try:
                message = await self.read(TIMEOUT_S)
            except TimeoutError:
                self._child.kill()  # a late line would be read as the next answer
                raise
        if "scores" not in message:
            raise RefusedError(str(message.get("error", "the answer has no scores")))
        return Answer([float(score) for scores in message["scores"] for score in scores], message.get("engine_s"))

    async def read(self, limit_s: float) -> dict[str, Any]:
        """The next line. Raises RefusedError if the driver has ended, TimeoutError after `limit_s` seconds."""
        if self._child.stdout is None:
            raise RefusedError("the driver has no stdout")
        line = await asyncio.wait_for(self._child.stdout.readline(), limit_s)
        if not line:
            raise RefusedError("the driver has ended")
        message: dict[str, Any] = json.loads(line)
        return message


@asynccontextmanager
async def driven(driver: Driver, log: Path) -> AsyncIterator[Running]:
    """The driver, once its model is loaded; its stderr goes to `log`. Raises StartError."""
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
    """Close its stdin and send SIGTERM, and SIGKILL after a grace period."""
    if child.stdin is not None:
        child.stdin.close()
    with suppress(ProcessLookupError, TimeoutError):
        child.terminate()
        await asyncio.wait_for(child.wait(), GRACE_S)
    with suppress(ProcessLookupError):
        child.kill()
    await child.wait()
