"""python -m pytest tests/unit/serving/test_supervisor.py

Real small programs under supervision: started until they work, and stopped for good. Started again: test_supervisor_restarts.py.
"""

import asyncio
from pathlib import Path

import pytest

from facade.config.settings import REPOSITORY
from facade.errors import NotReadyError
from facade.reranking.bundle import newest_version, read_bundle
from facade.triton.client import Triton
from scripts.serving.supervisor import Attempts, RestartLimits, StartFailedError
from tests.conftest import free_ports
from tests.unit.serving.processes import is_running
from tests.unit.serving.programs import MakeProgram, end, never
from tests.unit.waiting import PATIENCE_S, until


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
