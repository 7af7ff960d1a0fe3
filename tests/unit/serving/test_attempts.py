"""python -m pytest tests/unit/serving/test_attempts.py

A start that takes long says what it waits for and how the last attempt failed.
"""

import asyncio
import logging

import pytest

from facade.config.settings import REPOSITORY
from facade.errors import NotReadyError
from facade.reranking.bundle import newest_version, read_bundle
from facade.triton.client import Triton
from scripts import serve
from scripts.serving.attempts import Attempts
from scripts.serving.child import Child
from scripts.serving.supervisor import StartFailedError, Supervised
from tests.conftest import free_ports
from tests.unit.serving.processes import environment
from tests.unit.waiting import PATIENCE_S, until


def server(attempts: Attempts) -> Supervised:
    """A program that is never ready, and of which each attempt to see it fails."""

    async def ready() -> None:
        while True:
            error = NotReadyError("can't be reached")
            error.add_note("ipv4:10.0.0.1:3128: connection refused")
            attempts.failed(error)
            await asyncio.sleep(0.001)

    return Supervised("triton", lambda: Child.start(["sleep", "1000"], environment()), ready, None, PATIENCE_S, attempts)


def test_before_an_attempt_has_ended_it_says_so() -> None:
    assert str(Attempts("an inference")) == "waiting for an inference; last attempt: no attempt has ended yet"


async def test_a_start_that_never_works_says_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.serving.supervisor._START_TIMEOUT_S", 0.05)
    told = r"waiting for an inference at 127\.0\.0\.1:8001; last attempt: can't be reached; ipv4:10\.0\.0\.1:3128: connection refused"
    with pytest.raises(StartFailedError, match=told):
        await server(Attempts("an inference at 127.0.0.1:8001")).launch()


@pytest.mark.parametrize(("unusual_s", "told"), [(0.0, True), (3600.0, False)])
async def test_a_start_that_goes_on_for_long_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, unusual_s: float, told: bool
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("scripts.serve._TELL_EVERY_S", 0.01)
    monkeypatch.setattr("scripts.serve._UNUSUAL_S", unusual_s)
    slow = server(Attempts("an inference at 127.0.0.1:8001"))
    launch, stopping = asyncio.create_task(slow.launch()), asyncio.create_task(asyncio.Event().wait())
    telling = asyncio.create_task(serve._tell_while(launch, stopping, slow))
    await until(lambda: "still starting triton" in caplog.text)
    for task in (launch, stopping, telling):
        task.cancel()
    await asyncio.gather(launch, stopping, telling, return_exceptions=True)
    await slow.kill()
    assert ("an inference at 127.0.0.1:8001; last attempt: can't be reached" in caplog.text) == told


async def test_a_triton_that_can_not_be_reached_is_told_with_the_address_that_was_tried() -> None:
    (port,) = free_ports(1)
    attempts = Attempts("an inference")
    async with Triton(f"127.0.0.1:{port}") as triton:
        with pytest.raises(NotReadyError) as caught:
            await triton.probe(read_bundle(newest_version(REPOSITORY / "reranker")), PATIENCE_S)
    attempts.failed(caught.value)
    assert f"127.0.0.1:{port}" in str(attempts)
    assert str(port) not in caught.value.message, "callers are not told"
