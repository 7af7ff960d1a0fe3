"""python -m pytest tests/hardening/test_stop.py

A stop by a real signal while clients ask: what was accepted is answered, and right; what comes later is asked to retry; then nothing
is left. The facade alone, and facade and Triton as `make serve` starts them. The order inside: tests/unit/facade/test_stop.py.
"""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.contract.calls import GOOD, READY, Answer, eventually, get, post, ranked, refused, request, scrape
from tests.hardening import own_facade
from tests.hardening.load import Load, under_load
from tests.hardening.own_facade import Facade, start_facade
from tests.process_tree import alive, descendants
from tests.unit.waiting import until

pytestmark = pytest.mark.alone

CLIENTS = 6
PASSAGES = 64  # of each: at any time most of the clients wait for their answers, also where the clients themselves are late
DRAIN_S = 30.0  # the default, which is also the promise
TRITON_S = 10.0  # what Triton has beyond it
# Some seconds of work: at the signal it has begun, and it is not done when everything else of a test is.
LONG = request("what is said of the river", [f"The river {number} {'flows on and on ' * 60}" for number in range(512)], truncate="END")


@dataclass(frozen=True)
class End:
    """How a server ended: its exit code, and the seconds from the signal."""

    code: int
    seconds: float


async def ended(server: Server | Facade, since: float) -> End:
    code = await asyncio.to_thread(server.process.wait, DRAIN_S + TRITON_S + 60)
    return End(code, time.monotonic() - since)


async def stop_under_load(server: Server) -> tuple[Load, End]:
    """SIGTERM while clients ask; they go on until listening ends."""
    async with under_load(server, CLIENTS, PASSAGES, DRAIN_S) as (load, readiness), aiohttp.ClientSession(server.http) as watcher:
        await until(lambda: readiness.changes and load.statuses[200] >= 3 * CLIENTS)
        # Answers to all come nearly together: not just then.
        await eventually(lambda: at_work(watcher, CLIENTS - 1), "all clients wait for an answer")
        signalled = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        end = await ended(server, signalled)
        await until(lambda: len(load.lost) >= CLIENTS)
        assert [ready for _, ready in readiness.changes] == [True, False]
    return load, end


async def at_work(client: aiohttp.ClientSession, requests: int) -> bool:
    return (await scrape(client)).value("reranker_requests_in_flight") >= requests


def answered_all(load: Load, output: str) -> None:
    """No request that the server took is without its right answer."""
    (under_way,) = re.findall(r"shutting down, with (\d+) requests under way", output)
    assert int(under_way) >= CLIENTS / 2
    assert load.wrong == []
    assert set(load.statuses) == {200, 503}
    assert load.refusals == {"shutting down: retry, and another server may answer"}
    # No connection was dropped: each was either answered on, or refused.
    assert {why for _, why in load.lost} == {"ClientConnectorError"}


async def test_under_load_the_facade_answers_what_it_took_and_ends_well(server: Server, tmp_path: Path) -> None:
    facade = own_facade.wait_until_ready(start_facade(server, tmp_path))
    load, end = await stop_under_load(replace(server, http=facade.http, process=facade.process, log=facade.log))
    answered_all(load, facade.output())
    assert end.code == 0
    assert end.seconds < DRAIN_S


async def test_under_load_facade_and_triton_answer_what_they_took_and_leave_nothing(tmp_path: Path) -> None:
    running = start_server(tmp_path)
    try:
        await asyncio.to_thread(wait_until_ready, running)
        processes = descendants(running.process.pid)
        load, end = await stop_under_load(running)
    finally:
        stop_server(running)
    answered_all(load, running.output())
    assert end.code == 0
    assert end.seconds < DRAIN_S + TRITON_S
    assert len(processes) >= 3
    assert alive(processes) == []
    assert running.output().rstrip().endswith("stopped")


@dataclass(frozen=True)
class Busy:
    """A facade with one long request under way, clients of its two addresses, and what the request will get."""

    facade: Facade
    api: aiohttp.ClientSession
    health: aiohttp.ClientSession
    under_way: asyncio.Task[Answer]

    async def draining(self) -> None:
        async def down() -> bool:
            return (await get(self.health, READY)).status == 503

        await eventually(down, "not ready any more")

    def send(self, number: signal.Signals) -> float:
        """Send a signal; when it was."""
        self.facade.process.send_signal(number)
        return time.monotonic()


@asynccontextmanager
async def busy(server: Server, folder: Path, **environment: str) -> AsyncIterator[Busy]:
    facade = start_facade(server, folder, **environment)
    try:
        await asyncio.to_thread(own_facade.wait_until_ready, facade)
        health_url = f"http://127.0.0.1:{facade.health_port}"
        async with aiohttp.ClientSession(facade.http) as api, aiohttp.ClientSession(health_url) as health:
            under_way = asyncio.create_task(post(api, LONG))
            await eventually(lambda: at_work(health, 1), "the long request is under way")
            yield Busy(facade, api, health, under_way)
            if not under_way.done():
                under_way.cancel()
    finally:
        facade.process.kill()
        facade.process.wait()


async def test_readiness_goes_down_then_rankings_are_refused_and_the_last_answer_is_right(server: Server, tmp_path: Path) -> None:
    async with aiohttp.ClientSession(server.http) as quiet:
        expected = ranked(await post(quiet, LONG))
    async with busy(server, tmp_path) as the:
        assert (await get(the.api, READY)).status == 200
        signalled = the.send(signal.SIGTERM)
        await the.draining()
        assert "shutting down" in refused(await get(the.api, READY), 503)["message"]
        answer = await post(the.api, GOOD)
        assert "shutting down" in refused(answer, 503)["message"]
        assert answer.headers["Connection"] == "close"
        assert [(await get(client, "/v1/health/live")).status for client in (the.api, the.health)] == [200, 200]
        assert not the.under_way.done()
        assert ranked(await the.under_way) == expected
        end = await ended(the.facade, signalled)
        assert end.code == 0
        assert end.seconds < DRAIN_S
        for client in (the.api, the.health):
            with pytest.raises(aiohttp.ClientConnectorError):
                await get(client, READY)


async def test_what_is_not_done_within_the_limit_is_reported_and_the_end_is_still_in_time(
    server: Server, tmp_path: Path, slow: float
) -> None:
    limit_s = 0.5
    async with busy(server, tmp_path, RERANKER_DRAIN_S=str(limit_s)) as the:
        signalled = the.send(signal.SIGTERM)
        assert "no time left" in refused(await the.under_way, 503)["message"]
        end = await ended(the.facade, signalled)
        assert end.code == 0
        assert end.seconds < limit_s + 1.0 * slow
        assert "cutting off 1 requests" in the.facade.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
async def test_a_second_signal_ends_it_at_once(server: Server, tmp_path: Path, slow: float, number: signal.Signals) -> None:
    async with busy(server, tmp_path) as the:
        the.send(number)
        await the.draining()
        assert the.facade.process.poll() is None
        end = await ended(the.facade, the.send(number))
        assert end.code == 128 + number
        assert end.seconds < 1.0 * slow
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await the.under_way
