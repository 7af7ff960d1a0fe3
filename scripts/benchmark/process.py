"""Starts and stops a server for a benchmark, and measures its memory. Knows processes and ports, not what is measured."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from scripts.benchmark.load import RefusedError, Send
from scripts.benchmark.wire import NIM, Client, Wire
from scripts.benchmark.workload import Request

HOST = "127.0.0.1"
START_S = 300.0  # vLLM takes 40 s on two quiet cores
GRACE_S = 40.0  # after SIGTERM; this project's facade may take 30 s for requests in flight
_ASK_EVERY_S = 0.05
_WEIGH_EVERY_S = 1.0


class StartError(Exception):
    """A program did not start; the message gives the reason or names its log."""


@dataclass(frozen=True)
class Program:
    """A server's command, port and request format."""

    name: str
    command: Sequence[str]
    port: int
    wire: Wire = NIM
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


@dataclass(frozen=True)
class Running:
    """A running server or driver. `start_s`: seconds from its start to its first answer."""

    send: Send
    start_s: float
    process: psutil.Process

    def resident_bytes(self) -> int:
        """The memory of all its processes; shared pages count once (PSS)."""
        total = 0
        for process in family(self.process):
            with suppress(psutil.Error):  # one may end meanwhile
                total += process.memory_full_info().pss
        return total


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all its descendants; empty if it has ended."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def leash() -> list[str]:
    """The first words of a command that ends with this process, even if that is killed (util-linux)."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


@asynccontextmanager
async def running(program: Program, log: Path) -> AsyncIterator[Running]:
    """The server, from its first ranking on; its output goes to `log`. Raises StartError."""
    with socket.socket() as probe:
        if probe.connect_ex((HOST, program.port)) == 0:
            raise StartError(f"port {program.port} is in use: stop what listens there")
    began = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603, ASYNC220 (commands of this package; starting one does not block)
            [*leash(), *program.command],
            env={**os.environ, **program.environment},
            cwd=program.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        async with Client(f"http://{HOST}:{program.port}", program.wire) as client:
            await _until_it_answers(client, child, program.name, log)
            yield Running(client, time.monotonic() - began, psutil.Process(child.pid))
    finally:
        await asyncio.to_thread(stop, child)


async def _until_it_answers(client: Client, child: subprocess.Popen[bytes], name: str, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_S:
        if child.poll() is not None:
            raise StartError(f"{name} ended with status {child.returncode} while it started: see {log}")
        try:
            await client(Request("is it there?", ("yes",)))
        except (RefusedError, OSError, TimeoutError):
            await asyncio.sleep(_ASK_EVERY_S)
        else:
            return
    raise StartError(f"{name} does not answer after {START_S:.0f} s: see {log}")


def stop(child: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM, and after a grace period SIGKILL to the rest of it and its descendants."""
    if child.poll() is not None:
        return
    processes = family(psutil.Process(child.pid))
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    _, left = psutil.wait_procs(processes, timeout=1.0)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()


@asynccontextmanager
async def weighed(server: Running) -> AsyncIterator[list[int]]:
    """A list that gets the server's resident bytes about once a second."""
    found: list[int] = []

    async def weigh() -> None:
        while True:
            found.append(await asyncio.to_thread(server.resident_bytes))
            await asyncio.sleep(_WEIGH_EVERY_S)

    task = asyncio.create_task(weigh())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
