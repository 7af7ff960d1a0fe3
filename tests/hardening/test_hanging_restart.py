"""python -m pytest tests/hardening/test_hanging_restart.py

A Triton that hangs while it is started again is given up and started once more. That may take five times as long as the start before, so
nothing here is held to seconds; what is: test_recovery.py.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import START_LIMIT_S, Server, start_server, stop_server, wait_until_ready
from tests.hardening.load import under_load
from tests.process_tree import descendants, the_one
from tests.unit.waiting import until

pytestmark = pytest.mark.long

CLIENTS = 4
TRITON = r"bin/tritonserver"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(tmp_path)
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


def tritons(server: Server) -> set[int]:
    return {pid for pid, command in descendants(server.process.pid).items() if re.search(TRITON, command)}


async def test_a_triton_that_hangs_while_it_is_started_again_is_given_up(own_server: Server) -> None:
    async with under_load(own_server, CLIENTS) as (load, readiness):
        await until(lambda: readiness.changes and readiness.changes[-1][1])
        first = the_one(own_server.process.pid, TRITON)
        os.kill(first, signal.SIGKILL)
        await until(lambda: tritons(own_server) - {first})
        fault = time.monotonic()
        os.kill(the_one(own_server.process.pid, TRITON), signal.SIGSTOP)
        await until(lambda: load.right_at > fault, START_LIMIT_S)
        await until(lambda: readiness.changes[-1][1])
    assert load.wrong == []
    assert "triton was not ready within" in own_server.output()
