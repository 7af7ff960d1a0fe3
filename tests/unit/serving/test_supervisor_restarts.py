"""python -m pytest tests/unit/serving/test_supervisor_restarts.py

Real small programs under supervision that end or break: they are started again, with back-off.
"""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from facade.errors import BundleError
from scripts.serving.child import Child
from scripts.serving.supervisor import Attempts, RestartLimits, Supervised
from tests.unit.serving.processes import is_running, written_pid
from tests.unit.serving.programs import QUICK, STEPS_S, MakeProgram, at_once, end, never
from tests.unit.waiting import PATIENCE_S, until


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BundleError("no bundle"), "no bundle"),
        (
            OSError(11, "Resource temporarily unavailable"),
            "program could not be started (BlockingIOError: Resource temporarily unavailable)",
        ),
    ],
)
async def test_a_start_that_is_not_possible_is_tried_again(
    program: MakeProgram, error: Exception, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = program("exit 3", "exec sleep 1000")
    failing = [None, error, error]

    async def start() -> Child:
        if failing and (fault := failing.pop(0)):
            raise fault
        return await made.start()

    server = Supervised("program", start, at_once, None, PATIENCE_S, Attempts("the program"), QUICK)
    await server.launch()
    keep = asyncio.create_task(server.keep())
    await until(lambda: len(made.children) == 2 and is_running(made.children[1].pid))
    await end(keep)
    assert caplog.messages.count(message) == 2


async def test_a_program_that_ends_is_started_again_with_growing_pauses(program: MakeProgram, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    made = program("exit 3")
    server = made.supervised()
    await server.launch()
    keep = asyncio.create_task(server.keep())
    await until(lambda: len(made.starts) >= 6)
    await end(keep)
    gaps = [later - earlier for earlier, later in zip(made.starts, made.starts[1:], strict=False)]
    for gap, pause in zip(gaps, [*STEPS_S, STEPS_S[-1]], strict=False):
        assert gap >= pause
    assert "program exited with 3; starting it again in 0.1 s" in caplog.messages


async def test_a_program_that_was_stable_has_its_pauses_forgotten(program: MakeProgram) -> None:
    made = program("exit 3")
    server = made.supervised(RestartLimits(stable_s=0.0, backoff_s=(0.0, 3600.0)))
    await server.launch()
    keep = asyncio.create_task(server.keep())
    await until(lambda: len(made.starts) >= 4)
    await end(keep)


async def test_a_program_that_fails_to_start_again_is_tried_on(program: MakeProgram, caplog: pytest.LogCaptureFixture) -> None:
    tries = 0

    async def works_at_the_third_try() -> None:
        nonlocal tries
        tries += 1
        if tries in {2, 3}:
            await never()

    caplog.set_level(logging.ERROR)
    made = program("exit 3", "exit 4", "exit 5", "exec sleep 1000", ready=works_at_the_third_try)
    server = made.supervised()
    await server.launch()
    keep = asyncio.create_task(server.keep())
    await until(lambda: tries == 4 and is_running(made.children[-1].pid))
    await end(keep)
    assert caplog.messages == [f"program exited with {code}; its messages above say why" for code in (4, 5)]


async def test_a_program_that_hangs_when_started_again_is_given_up_soon_and_gets_twice_as_long_the_next_time(
    program: MakeProgram, caplog: pytest.LogCaptureFixture
) -> None:
    tries = 0

    async def hangs_at_the_second_and_third_try() -> None:
        nonlocal tries
        tries += 1
        if tries in {2, 3}:
            await never()

    caplog.set_level(logging.ERROR)
    made = program("exit 3", "exec sleep 1000", ready=hangs_at_the_second_and_third_try)
    server = made.supervised(replace(QUICK, restart_least_s=0.2))
    await server.launch()
    keep = asyncio.create_task(server.keep())
    await until(lambda: tries == 4 and is_running(made.children[-1].pid))
    await end(keep)
    _, second, third = (later - earlier for earlier, later in zip(made.starts, made.starts[1:], strict=False))
    assert second >= 0.2
    assert third >= 0.4
    assert len(caplog.messages) == 2
    assert all("was not ready within" in message for message in caplog.messages)
    assert not is_running(made.children[1].pid)


async def test_a_program_that_can_not_even_be_started_again_is_tried_on(program: MakeProgram, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    made = program("exit 3", "exec sleep 1000")
    server = made.supervised()
    await server.launch()
    faults = [OSError(11, "Resource temporarily unavailable"), RuntimeError("unforeseen")]

    async def start() -> Child:
        if faults:
            raise faults.pop(0)
        return await made.start()

    server.start = start
    keep = asyncio.create_task(server.keep())
    await until(lambda: len(made.children) == 2 and is_running(made.children[-1].pid))
    await end(keep)
    assert "program could not be started (BlockingIOError: Resource temporarily unavailable)" in caplog.messages


async def test_a_program_whose_readiness_can_not_be_asked_is_started_again_and_leaves_nothing(program: MakeProgram) -> None:
    tries = 0

    async def ready() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise RuntimeError("unforeseen")

    made = program("exit 3", "exec sleep 1000", ready=ready)
    server = made.supervised()
    await server.launch()
    keep = asyncio.create_task(server.keep())
    await until(lambda: len(made.children) == 3 and is_running(made.children[-1].pid))
    await end(keep)
    assert not is_running(made.children[1].pid)


async def test_a_watch_that_fails_costs_the_program_nothing(program: MakeProgram) -> None:
    watched = 0

    async def watch(child: Child) -> str:
        nonlocal watched
        watched += 1
        if watched < 3:
            raise RuntimeError("unforeseen")
        return await never(child)

    made = program("exec sleep 1000", watch=watch)
    server = made.supervised(replace(QUICK, watch_again_s=0.01))
    await server.launch()
    keep = asyncio.create_task(server.keep())
    await until(lambda: watched == 3)
    await end(keep)
    assert len(made.children) == 1
    assert is_running(made.children[0].pid)


async def test_a_program_that_lives_but_is_broken_is_killed_and_started_again(program: MakeProgram, tmp_path: Path) -> None:
    broken = asyncio.Event()

    async def watch(child: Child) -> str:
        assert child is made.children[-1]
        await broken.wait()
        broken.clear()
        return "refuses inference"

    made = program('trap "" TERM; sleep 1000 & echo $! > "$HERE/pid"; wait', "exec sleep 1000", watch=watch)
    server = made.supervised()
    await server.launch()
    grandchild = await written_pid(tmp_path / "pid")
    keep = asyncio.create_task(server.keep())
    broken.set()
    await until(lambda: len(made.children) == 2)
    assert not is_running(made.children[0].pid)
    await until(lambda: not is_running(grandchild))
    assert is_running(made.children[1].pid)
    await end(keep)


async def test_keeping_that_is_cancelled_leaves_the_program_running_until_it_is_stopped(program: MakeProgram) -> None:
    made = program("exec sleep 1000", watch=never)
    server = made.supervised()
    await server.launch()
    keep = asyncio.create_task(server.keep())
    await asyncio.sleep(0.01)
    await end(keep)
    assert is_running(made.children[0].pid)
    await server.stop()
    assert not is_running(made.children[0].pid)
    assert len(made.children) == 1
