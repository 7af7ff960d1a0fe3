"""python -m pytest tests/unit/serving/test_supervisor.py

Real small programs under supervision: started until they work, started again with back-off when they end or break, stopped for good.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from facade.config.settings import REPOSITORY
from facade.errors import BundleError, NotReadyError
from facade.reranking.bundle import newest_version, read_bundle
from facade.triton.client import Triton
from scripts.serving.child import Child
from scripts.serving.supervisor import Attempts, RestartLimits, StartFailedError, Supervised
from tests.conftest import free_ports
from tests.unit.serving.processes import environment, is_running, written_pid
from tests.unit.waiting import PATIENCE_S, until

STEPS_S = (0.0, 0.02, 0.06, 0.12)
QUICK = RestartLimits(backoff_s=STEPS_S)


@dataclass
class Program:
    """A shell script that is supervised, and when it was started."""

    here: Path
    scripts: list[str]
    ready: Callable[[], Awaitable[object]]
    watch: Callable[[Child], Coroutine[Any, Any, str]] | None = None
    starts: list[float] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)

    async def start(self) -> Child:
        """The last script stays."""
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        child = await Child.start(["/bin/sh", "-c", script], environment(HERE=self.here))
        self.starts.append(time.monotonic())
        self.children.append(child)
        return child

    def supervised(self, limits: RestartLimits = QUICK) -> Supervised:
        return Supervised("program", self.start, self.ready, self.watch, PATIENCE_S, Attempts("the program"), limits)


async def at_once() -> None:
    """Works as soon as it is started."""


async def never(*_: Child) -> str:
    """Never works, and is never broken."""
    await asyncio.Event().wait()
    return ""


MakeProgram = Callable[..., Program]


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[MakeProgram]:
    programs: list[Program] = []

    def make(*scripts: str, **more: Any) -> Program:
        programs.append(Program(tmp_path, list(scripts), **{"ready": at_once, **more}))
        return programs[-1]

    yield make
    for each in programs:
        for child in each.children:
            await child.kill()


async def end(task: asyncio.Task[None]) -> None:
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


def test_before_the_first_attempt_has_ended_the_text_says_so() -> None:
    assert str(Attempts("an inference")) == "waiting for an inference; last attempt: no attempt has ended yet"


async def test_a_failed_start_says_what_it_waited_for_and_why_the_last_attempt_failed(program: MakeProgram) -> None:
    server = program("exec sleep 1000", ready=never).supervised(RestartLimits(start_s=0.05))
    error = NotReadyError("can't be reached")
    error.add_note("ipv4:10.0.0.1:3128: connection refused")
    server.attempts.failed(error)
    with pytest.raises(StartFailedError, match=r"waiting for the program; last attempt: can't be reached; ipv4:10\.0\.0\.1:3128: conn"):
        await server.launch()


async def test_the_attempts_of_a_triton_that_is_away_name_its_address_and_the_error_for_clients_does_not() -> None:
    (port,) = free_ports(1)
    attempts = Attempts("an inference")
    async with Triton(f"127.0.0.1:{port}") as triton:
        with pytest.raises(NotReadyError) as caught:
            await triton.probe(read_bundle(newest_version(REPOSITORY / "reranker")), PATIENCE_S)
    attempts.failed(caught.value)
    assert f"127.0.0.1:{port}" in str(attempts)
    assert str(port) not in caught.value.message


async def test_a_launch_ends_when_the_program_works(program: MakeProgram) -> None:
    server = program("exec sleep 1000").supervised()
    await server.launch()
    assert server.child
    assert is_running(server.child.pid)


async def test_a_program_that_ends_before_it_works_is_reported_with_its_exit_code(program: MakeProgram) -> None:
    server = program("exit 3", ready=never).supervised()
    with pytest.raises(StartFailedError, match="program exited with 3; its messages above say why"):
        await server.launch()


async def test_a_program_that_never_works_is_killed_when_its_time_is_up(program: MakeProgram) -> None:
    made = program("exec sleep 1000", ready=never)
    with pytest.raises(StartFailedError, match="program was not ready within"):
        await made.supervised(RestartLimits(start_s=0.05)).launch()
    assert not is_running(made.children[0].pid)


async def test_a_program_that_says_why_it_can_not_work_is_killed_at_once(program: MakeProgram) -> None:
    async def can_not() -> None:
        raise StartFailedError("no model")

    made = program("exec sleep 1000", ready=can_not)
    with pytest.raises(StartFailedError, match="no model"):
        await made.supervised().launch()
    await until(lambda: not is_running(made.children[0].pid))


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


async def test_a_launch_that_is_cancelled_leaves_a_program_that_stop_ends(program: MakeProgram) -> None:
    made = program("exec sleep 1000", ready=never)
    server = made.supervised()
    launch = asyncio.create_task(server.launch())
    await until(lambda: made.children)
    await end(launch)
    await server.stop()
    assert not is_running(made.children[0].pid)


@pytest.mark.parametrize(("trap", "killed"), [("", False), ('trap "" TERM; ', True)])
async def test_a_program_that_has_to_be_killed_at_its_stop_is_reported(
    program: MakeProgram, caplog: pytest.LogCaptureFixture, trap: str, killed: bool, tmp_path: Path
) -> None:
    made = program(f'{trap}touch "$HERE/up"; while true; do sleep 0.01; done')
    server = made.supervised()
    await server.launch()
    await until((tmp_path / "up").exists)
    server.grace_s = 0.2 if killed else PATIENCE_S
    await server.stop()
    assert not is_running(made.children[0].pid)
    assert ("program did not end within 0.2 s and was killed: see its messages above" in caplog.messages) == killed


async def test_stopping_what_was_never_started_is_no_fault(program: MakeProgram) -> None:
    await program("exit 0").supervised().stop()


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
