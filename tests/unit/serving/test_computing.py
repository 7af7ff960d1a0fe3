"""python -m pytest tests/unit/serving/test_computing.py

A process that computes is told from one that sleeps or is stopped, among the descendants that are meant.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from scripts.serving.child import Child
from scripts.serving.computing import computes
from tests.unit.serving.processes import environment, written_pid

Start = Callable[[str], Awaitable[Child]]
# A parent with one child, whose last argument is the name that is looked for.
PARENT = 'trap "exit" TERM; "$PYTHON" -c "$PROGRAM" /reranker/ & echo $! > "$HERE/pid"; wait'
BUSY, IDLE = "while True: pass", "import time; time.sleep(1000)"


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    children: list[Child] = []

    async def run(program: str) -> Child:
        given = environment(HERE=tmp_path, PYTHON=sys.executable, PROGRAM=program)
        children.append(await Child.start(["/bin/sh", "-c", PARENT], given))
        await written_pid(tmp_path / "pid")
        return children[-1]

    yield run
    for child in children:
        await child.kill()


async def test_a_busy_child_computes_and_one_of_another_name_is_not_meant(start: Start) -> None:
    parent = await start(BUSY)
    assert await computes(parent.pid, "/reranker/")
    assert not await computes(parent.pid, "/rerank_text/")


async def test_an_idle_child_does_not_compute(start: Start) -> None:
    parent = await start(IDLE)
    assert not await computes(parent.pid, "/reranker/ and its start-up is over")
    assert not await computes(parent.pid, "/reranker/")


async def test_a_stopped_child_does_not_compute(start: Start, tmp_path: Path) -> None:
    parent = await start(BUSY)
    os.kill(await written_pid(tmp_path / "pid"), signal.SIGSTOP)
    assert not await computes(parent.pid, "/reranker/")


async def test_a_process_that_is_gone_does_not_compute(start: Start) -> None:
    parent = await start(IDLE)
    await parent.kill()
    assert not await computes(parent.pid, "/reranker/")
