"""python -m pytest tests/unit/serving/test_hang_watch.py

What the watch takes for broken: failures that go on, and a silence longer than usual of a server that does not compute. Real processes show
what computing is, and real connections what counts as an answer of the facade.
"""

import asyncio
import os
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, RerankerError, ScoringError
from facade.triton.silence import Patience
from scripts.serving.child import Child
from scripts.serving.hang_watch import WatchLimits, computes, facade_answers, until_broken
from tests.conftest import free_ports
from tests.hardening.certificates import self_signed
from tests.unit.serving.processes import environment, written_pid
from tests.unit.waiting import PATIENCE_S, until

REFUSED = NotReadyError("the model can't be reached")
HANGS = RerankerError("hangs")
QUICK = WatchLimits(probe_every_s=0.001, retry_s=0.001, patience=Patience(least_s=0.05, times=1.0, most_s=0.05))


@dataclass
class Server:
    """A server whose probes have these ends, one after the other; then it is as good as the last. HANGS is no end."""

    ends: list[RerankerError | None]
    takes_s: float = 0.0
    probes: int = 0

    async def probe(self, timeout_s: float) -> None:  # noqa: ARG002
        self.probes += 1
        await asyncio.sleep(self.takes_s)
        fault = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if fault is HANGS:
            await asyncio.Event().wait()
        if fault:
            raise fault


async def reason_of(server: Server, *busy: bool, limits: WatchLimits = QUICK) -> str:
    """The reason for which the watch ended. `busy`: what each look at the server finds; the last one stays."""
    found = list(busy)

    async def computing() -> bool:
        return (found.pop(0) if len(found) > 1 else found[0]) if found else False

    return await asyncio.wait_for(until_broken(server.probe, computing, limits), PATIENCE_S)


async def stays(server: Server, busy: bool = False, probes: int = 20, limits: WatchLimits = QUICK) -> None:
    """The watch continues for this number of probes."""
    watch = asyncio.create_task(reason_of(server, busy, limits=limits))
    await until(lambda: server.probes >= probes or watch.done())
    assert not watch.done()
    watch.cancel()
    await asyncio.wait([watch])


@pytest.mark.parametrize("fault", [REFUSED, ScoringError("failed")])
async def test_failures_that_go_on_mean_broken(fault: RerankerError) -> None:
    server = Server([fault])
    reason = await reason_of(server, True, limits=replace(QUICK, failing_s=0.05))
    assert reason == f"fails its probes ({fault.message})"
    assert server.probes > 1


async def test_failures_with_a_success_between_them_mean_nothing() -> None:
    await stays(Server([*[REFUSED, None] * 30, None]), limits=replace(QUICK, failing_s=0.005))


async def test_a_silence_longer_than_usual_means_hung() -> None:
    assert re.fullmatch(r"has not answered for \d+ s", await reason_of(Server([None, HANGS])))


async def test_each_answer_ends_a_silence() -> None:
    limits = replace(QUICK, patience=Patience(least_s=1.0, times=1.0, most_s=1.0))
    await stays(Server([None], takes_s=0.15), probes=10, limits=limits)


async def test_a_server_that_computes_is_waited_for_until_it_does_no_more() -> None:
    looks = 0
    server = Server([None, HANGS])

    async def computing() -> bool:
        nonlocal looks
        looks += 1
        return looks < 4

    assert "has not answered" in await asyncio.wait_for(until_broken(server.probe, computing, QUICK), PATIENCE_S)
    assert looks == 4
    assert server.probes == 2


async def test_a_server_that_computes_for_ever_is_given_up_when_the_probe_is() -> None:
    assert "has not answered" in await reason_of(Server([None, DeadlineExceededError("late")]), True)


async def test_a_full_queue_of_a_server_that_computes_does_not_mean_broken() -> None:
    await stays(Server([OverloadedError("Triton's queue is full")]), busy=True)


async def test_a_full_queue_of_a_server_that_does_not_compute_means_hung() -> None:
    assert "has not answered" in await reason_of(Server([None, OverloadedError("Triton's queue is full")]), False)


async def test_an_unforeseen_fault_of_a_probe_counts_as_a_failure() -> None:
    server = Server([TypeError("unforeseen")])  # type: ignore[list-item]
    assert "fails its probes" in await reason_of(server, limits=replace(QUICK, failing_s=0.05))


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


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(answer: bytes | None, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that gives this answer and hangs up; None: it says nothing. Its address."""
    over = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await over.wait()
        else:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        over.set()


@pytest.mark.parametrize("status", [b"200 OK", b"401 Unauthorized", b"503 Service Unavailable"])
async def test_any_answer_counts(status: bytes) -> None:
    async with listening(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as address:
        await facade_answers(f"http://{address}/", PATIENCE_S)


async def test_a_connection_that_is_closed_again_counts() -> None:
    async with listening(b"") as address:
        await facade_answers(f"http://{address}/", PATIENCE_S)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_wants_a_certificate_lives(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    own = self_signed(tmp_path, "reranker.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.load_verify_locations(own.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = newest
    async with listening(b"never sent", context) as address:
        await facade_answers(f"https://{address}/", PATIENCE_S)


async def test_nothing_that_listens_is_a_refusal() -> None:
    with pytest.raises(NotReadyError):
        await facade_answers(f"http://127.0.0.1:{free_ports(1)[0]}/", PATIENCE_S)


async def test_nothing_that_is_heard_is_a_silence() -> None:
    async with listening(None) as address:
        with pytest.raises(DeadlineExceededError):
            await facade_answers(f"http://{address}/", 0.1)
