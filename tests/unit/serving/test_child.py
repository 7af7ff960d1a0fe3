"""python -m pytest tests/unit/serving/test_child.py

A child ends politely or not, but always wholly: nothing of its group is left behind.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from scripts.serving.child import Child
from tests.conftest import ROOT
from tests.unit.serving.processes import environment, is_running, written_pid
from tests.unit.waiting import PATIENCE_S, until

Start = Callable[..., Awaitable[Child]]
SH = "/bin/sh"


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a shell script with $HERE as a folder of the test's own; kills what a failed test leaves."""
    children: list[Child] = []

    async def run(script: str) -> Child:
        children.append(await Child.start([SH, "-c", script], environment(HERE=tmp_path)))
        return children[-1]

    yield run
    for child in children:
        await child.kill()


async def test_a_program_runs_with_its_own_environment_and_its_exit_code_is_known(tmp_path: Path, start: Start) -> None:
    child = await start('echo done > "$HERE/file"; exit 7')
    assert await child.wait() == 7
    assert child.exit_code == 7
    assert (tmp_path / "file").read_text() == "done\n"


async def test_a_running_child_has_no_exit_code(start: Start) -> None:
    child = await start("exec sleep 1000")
    assert child.exit_code is None
    assert is_running(child.pid)


async def test_a_child_is_out_of_reach_of_the_terminals_signals(start: Start) -> None:
    child = await start("exec sleep 1000")
    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid


async def test_a_child_gets_no_input(tmp_path: Path, start: Start) -> None:
    child = await start('cat > "$HERE/input"')
    assert await asyncio.wait_for(child.wait(), PATIENCE_S) == 0
    assert (tmp_path / "input").read_text() == ""


async def test_stopping_lets_a_polite_program_finish(tmp_path: Path, start: Start) -> None:
    child = await start('trap \'echo bye > "$HERE/bye"; exit 0\' TERM; echo $$ > "$HERE/pid"; while :; do sleep 0.01; done')
    await written_pid(tmp_path / "pid")
    await child.stop(PATIENCE_S)
    assert child.exit_code == 0
    assert (tmp_path / "bye").read_text() == "bye\n"


async def test_stopping_kills_a_program_that_does_not_listen_once_its_grace_is_over(tmp_path: Path, start: Start) -> None:
    child = await start('trap "" TERM; echo $$ > "$HERE/pid"; while :; do sleep 0.01; done')
    await written_pid(tmp_path / "pid")
    began = time.monotonic()
    await child.stop(0.1)
    assert time.monotonic() - began >= 0.1
    assert child.exit_code == -signal.SIGKILL


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_nothing_that_a_child_started_is_left(tmp_path: Path, start: Start, end: str) -> None:
    child = await start('sleep 1000 & echo $! > "$HERE/pid"; wait')
    grandchild = await written_pid(tmp_path / "pid")
    assert is_running(grandchild)
    await (child.stop(PATIENCE_S) if end == "stop" else child.kill())
    await until(lambda: not is_running(grandchild))
    assert not is_running(child.pid)


async def test_orphans_of_a_child_that_ended_by_itself_are_killed_too(tmp_path: Path, start: Start) -> None:
    child = await start('sleep 1000 & echo $! > "$HERE/pid"; exit 3')
    orphan = await written_pid(tmp_path / "pid")
    assert await child.wait() == 3
    assert is_running(orphan)
    await child.kill()
    await until(lambda: not is_running(orphan))
    assert child.exit_code == 3


async def test_stopping_twice_or_after_the_end_is_no_fault(start: Start) -> None:
    child = await start("exit 0")
    await child.wait()
    await child.stop(PATIENCE_S)
    await child.stop(PATIENCE_S)
    await child.kill()
    assert child.exit_code == 0


async def test_without_setpriv_a_child_runs_too(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/programs")
    assert await (await start("exit 4")).wait() == 4


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux)")
async def test_a_child_ends_with_a_supervisor_that_is_killed_outright(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, sys\n"
        "from scripts.serving.child import Child\n"
        "async def main():\n"
        "    child = await Child.start(['/bin/sh', '-c', 'echo $$ > \"$1\"; exec sleep 1000', 'sh', sys.argv[1]], os.environ)\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(tmp_path / "pid"), cwd=ROOT)
    child = await written_pid(tmp_path / "pid")
    assert is_running(child)
    supervisor.kill()
    await supervisor.wait()
    await until(lambda: not is_running(child))


async def test_a_childs_output_goes_where_it_is_sent(tmp_path: Path) -> None:
    with (tmp_path / "output").open("wb") as output:
        child = await Child.start(["/bin/sh", "-c", "echo out; echo err >&2"], os.environ, output.fileno())
        assert await child.wait() == 0
    assert (tmp_path / "output").read_text() == "out\nerr\n"
