"""python -m pytest tests/unit/serving/test_servers.py

Two real small programs in place of Triton and the facade: in which order they start and stop, and what a slow start logs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from facade.errors import NotReadyError
from scripts.serving.child import Child
from scripts.serving.servers import Orders, Progress, Servers
from scripts.serving.supervisor import Attempts, StartFailedError, Supervised
from scripts.serving.versions import Versions
from tests.unit.serving.processes import environment, is_running
from tests.unit.waiting import PATIENCE_S, until

LASTS = "exec sleep 1000"
STUBBORN = 'trap "" TERM; while :; do sleep 0.01; done'
Ready = Callable[[], Awaitable[object]]


async def at_once() -> None:
    """Ready as soon as it is started."""


async def never() -> None:
    await asyncio.Event().wait()


def server(name: str, script: str, events: list[str], ready: Ready = at_once, grace_s: float = PATIENCE_S) -> Supervised:
    """A program that notes its start in `events`."""

    async def start() -> Child:
        events.append(f"{name} starts")
        return await Child.start(["/bin/sh", "-c", script], environment())

    return Supervised(name, start, ready, None, grace_s, Attempts("an inference at 127.0.0.1:8001"))


def servers(triton: Supervised, facade: Supervised, folder: Path, progress: Progress | None = None) -> Servers:
    """Both, without any version to try after a failed start."""
    return Servers(triton, facade, Versions(folder, None), never, progress or Progress())


async def test_triton_is_started_first_and_stopped_last(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    events: list[str] = []
    triton, facade = server("triton", LASTS, events), server("facade", LASTS, events)
    orders = Orders()
    running = asyncio.create_task(servers(triton, facade, tmp_path).run(orders, lambda: events.append("announced")))
    await until(lambda: "announced" in events)
    assert facade.child
    assert triton.child
    orders.interrupt()
    await asyncio.wait_for(running, PATIENCE_S)
    assert events == ["triton starts", "facade starts", "announced"]
    assert not is_running(facade.child.pid)
    assert not is_running(triton.child.pid)
    assert caplog.messages[-2:] == ["stopping: the facade finishes its requests, then Triton", "stopped"]


async def test_a_second_interrupt_kills_what_does_not_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    events: list[str] = []
    triton, facade = server("triton", LASTS, events), server("facade", STUBBORN, events)
    orders = Orders()
    running = asyncio.create_task(servers(triton, facade, tmp_path).run(orders, lambda: events.append("announced")))
    await until(lambda: "announced" in events)
    orders.interrupt()
    orders.interrupt()
    await asyncio.wait_for(running, PATIENCE_S)
    assert "killing facade: its requests in flight are lost" in caplog.messages
    assert facade.child
    assert not is_running(facade.child.pid)


async def test_an_interrupt_during_a_start_ends_it(tmp_path: Path) -> None:
    events: list[str] = []
    triton, facade = server("triton", LASTS, events, never), server("facade", LASTS, events)
    orders = Orders()
    running = asyncio.create_task(servers(triton, facade, tmp_path).run(orders, lambda: events.append("announced")))
    await until(lambda: triton.child)
    orders.interrupt()
    await asyncio.wait_for(running, PATIENCE_S)
    assert events == ["triton starts"]
    assert triton.child
    assert not is_running(triton.child.pid)


async def test_a_facade_that_fails_to_start_stops_triton_too(tmp_path: Path) -> None:
    events: list[str] = []
    triton, facade = server("triton", LASTS, events), server("facade", "exit 3", events, never)
    with pytest.raises(StartFailedError, match="facade exited with 3"):
        await servers(triton, facade, tmp_path).run(Orders(), lambda: events.append("announced"))
    assert triton.child
    assert not is_running(triton.child.pid)
    assert "announced" not in events


@pytest.mark.parametrize(("unusual_s", "explained"), [(0.0, True), (3600.0, False)])
async def test_a_long_start_logs_what_it_waits_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, unusual_s: float, explained: bool
) -> None:
    caplog.set_level(logging.INFO)
    events: list[str] = []
    slow = server("triton", LASTS, events, never)
    slow.attempts.failed(NotReadyError("can't be reached"))
    orders = Orders()
    both = servers(slow, server("facade", LASTS, events), tmp_path, Progress(every_s=0.01, unusual_s=unusual_s))
    running = asyncio.create_task(both.run(orders, lambda: None))
    await until(lambda: "still starting triton after 0 s" in caplog.text)
    orders.interrupt()
    await asyncio.wait_for(running, PATIENCE_S)
    assert ("(waiting for an inference at 127.0.0.1:8001; last attempt: can't be reached)" in caplog.text) == explained
