"""python -m pytest tests/unit/serving/test_broken.py

What a watch takes for broken: refusals that go on, and a silence longer than usual of a server that does not compute.
"""

import asyncio
import re
from dataclasses import dataclass

import pytest

from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, RerankerError, ScoringError
from facade.triton.silence import Patience
from scripts.serving.broken import until_broken
from tests.unit.waiting import PATIENCE_S, until

REFUSED = NotReadyError("the model can't be reached")
HANGS = RerankerError("hangs")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.serving.broken._PROBE_EVERY_S", 0.001)
    monkeypatch.setattr("scripts.serving.broken._AGAIN_S", 0.001)
    monkeypatch.setattr("scripts.serving.broken._PATIENCE", Patience(least_s=0.05, times=1.0, most_s=0.05))


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


async def reason_of(server: Server, *computes: bool) -> str:
    """Why the watch gave up; `computes`: what the server is found doing, the last stays."""
    found = list(computes)

    async def computing() -> bool:
        return (found.pop(0) if len(found) > 1 else found[0]) if found else False

    return await asyncio.wait_for(until_broken(server.probe, computing), PATIENCE_S)


async def stays(server: Server, computes: bool = False, probes: int = 20) -> None:
    """The watch goes on over so many probes."""
    watch = asyncio.create_task(reason_of(server, computes))
    await until(lambda: server.probes >= probes or watch.done())
    assert not watch.done()
    watch.cancel()
    await asyncio.wait([watch])


@pytest.mark.parametrize("fault", [REFUSED, ScoringError("failed")])
async def test_refusals_that_go_on_mean_broken(fault: RerankerError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.serving.broken._REFUSES_S", 0.05)
    server = Server([fault])
    assert await reason_of(server, True) == f"refuses to work ({fault.message})"
    assert server.probes > 1


async def test_refusals_with_a_success_between_them_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.serving.broken._REFUSES_S", 0.005)
    await stays(Server([*[REFUSED, None] * 30, None]))


async def test_a_silence_longer_than_usual_means_hung() -> None:
    assert re.fullmatch(r"has not answered for \d+ s", await reason_of(Server([None, HANGS])))


async def test_each_answer_ends_a_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.serving.broken._PATIENCE", Patience(least_s=1.0, times=1.0, most_s=1.0))
    await stays(Server([None], takes_s=0.15), probes=10)


async def test_a_server_that_computes_is_waited_for_until_it_does_no_more() -> None:
    looks = 0
    server = Server([None, HANGS])

    async def computing() -> bool:
        nonlocal looks
        looks += 1
        return looks < 4

    assert "has not answered" in await asyncio.wait_for(until_broken(server.probe, computing), PATIENCE_S)
    assert looks == 4
    assert server.probes == 2


async def test_a_server_that_computes_for_ever_is_given_up_when_the_probe_is() -> None:
    assert "has not answered" in await reason_of(Server([None, DeadlineExceededError("late")]), True)


async def test_a_full_queue_of_a_server_that_computes_does_not_mean_broken() -> None:
    await stays(Server([OverloadedError("Triton's queue is full")]), computes=True)


async def test_a_full_queue_of_a_server_that_does_not_compute_means_hung() -> None:
    assert "has not answered" in await reason_of(Server([None, OverloadedError("Triton's queue is full")]), False)


async def test_an_unforeseen_fault_of_a_probe_counts_as_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.serving.broken._REFUSES_S", 0.05)
    assert "refuses" in await reason_of(Server([TypeError("unforeseen")]))  # type: ignore[list-item]
