"""python -m pytest tests/hardening/test_recovery.py

Under load, each process in turn is killed or stopped: readiness says so within two seconds, the server comes back without help, and until
then callers get 503 or 504 and never a wrong ranking.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import START_LIMIT_S, Server, start_server, stop_server, wait_until_ready
from tests.hardening.leaks import internals
from tests.hardening.load import Readiness, under_load
from tests.process_tree import the_one

pytestmark = [pytest.mark.alone, pytest.mark.long]

CLIENTS = 4
# The promise.
DOWN_S = 2.0
BACK_S = 10.0
# What our own watching, of a machine whose cores are all busy, may add.
MARGIN_S = 0.5
# From the fault to the next right ranking. A killed server is known to be dead at once; of a silent one that has to be believed first.
RIGHT_S = {signal.SIGKILL: 20.0, signal.SIGSTOP: 40.0}
STUB, TRITON, FACADE = r"stub .*/reranker/1/model.py", r"bin/tritonserver", r"-m facade"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("recovery"))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


async def until(condition: Callable[[], object], limit_s: float, what: str) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        await asyncio.sleep(0.02)


async def is_ready(readiness: Readiness) -> None:
    await until(lambda: readiness.changes and readiness.changes[-1][1], START_LIMIT_S, "ready")


@pytest.mark.parametrize(
    ("victim", "number"),
    [
        (STUB, signal.SIGKILL),
        (TRITON, signal.SIGKILL),
        (STUB, signal.SIGSTOP),
        (TRITON, signal.SIGSTOP),
        (FACADE, signal.SIGKILL),
        (FACADE, signal.SIGSTOP),
    ],
    ids=["stub killed", "triton killed", "stub stopped", "triton stopped", "facade killed", "facade stopped"],
)
async def test_a_server_comes_back_from_a_fault_under_load_and_never_lies(
    server: Server,
    slow: float,
    victim: str,
    number: signal.Signals,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    async with under_load(server, CLIENTS) as (load, readiness):
        await is_ready(readiness)
        await until(lambda: load.statuses[200] >= 3 * CLIENTS, START_LIMIT_S, "load")
        fault = time.monotonic()
        os.kill(the_one(server.process.pid, victim), number)
        await until(lambda: readiness.since(fault, ready=False), 12 * slow, "readiness goes down")
        down = readiness.since(fault, ready=False) or 0.0
        await until(lambda: load.right_at > fault + down, RIGHT_S[number] * slow, "a right ranking again")
        right = load.right_at
        await until(lambda: readiness.changes[-1][1], BACK_S * slow, "readiness comes back")
        await until(lambda: load.statuses[200] >= 10 * CLIENTS, START_LIMIT_S, "load again")
    record_testsuite_property(
        f"{number.name} for {victim}: not ready after, and a right ranking after, s", [round(down, 2), round(right - fault, 2)]
    )
    assert down < DOWN_S * slow + MARGIN_S
    assert load.wrong == []
    assert [message for message in load.refusals if internals(message)] == []
    assert set(load.statuses) <= {200, 503, 504}, (load.statuses, load.refusals)
    # Connections are lost with the facade alone, and only until it is back.
    assert [why for at, why in load.lost if victim != FACADE or at > right] == []


async def test_readiness_follows_a_triton_that_pauses_without_any_traffic_and_nothing_is_killed(server: Server, slow: float) -> None:
    async with under_load(server, clients=0) as (_, readiness):
        await is_ready(readiness)
        triton = the_one(server.process.pid, TRITON)
        fault = time.monotonic()
        os.kill(triton, signal.SIGSTOP)
        await until(lambda: readiness.since(fault, ready=False), 12 * slow, "readiness goes down")
        resumed = time.monotonic()
        os.kill(triton, signal.SIGCONT)
        assert (readiness.since(fault, ready=False) or 0.0) < DOWN_S * slow + MARGIN_S
        await until(lambda: readiness.since(resumed, ready=True), BACK_S * slow, "readiness comes back")
    assert the_one(server.process.pid, TRITON) == triton
