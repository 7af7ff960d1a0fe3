"""A background task outlives its errors, logs each once, and ends with its block."""

import asyncio
import logging

import pytest

from facade.background import repeat, running
from facade.errors import NotReadyError


class Steps:
    """Raises the given errors in turn (None: success) and counts its calls; sets `done` after the last one."""

    def __init__(self, *errors: Exception | None) -> None:
        self._errors = list(errors)
        self.calls = 0
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        self.calls += 1
        if self.calls >= len(self._errors):
            self.done.set()
        if self.calls <= len(self._errors) and (error := self._errors[self.calls - 1]):
            raise error


async def _run(steps: Steps) -> None:
    async with running(repeat("the test", steps, every_s=0.001)):
        await asyncio.wait_for(steps.done.wait(), 60)
        await asyncio.sleep(0.01)  # the last step's error is logged by now


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), RuntimeError("quotes a passage"), NotReadyError("away"), KeyError("x")]
)
async def test_a_step_that_raises_is_followed_by_the_next(error: Exception) -> None:
    steps = Steps(error, error, None)
    await _run(steps)
    assert steps.calls >= 3


async def test_an_error_is_logged_once_until_it_changes_or_is_over(caplog: pytest.LogCaptureFixture) -> None:
    away, full = NotReadyError("away"), OSError(28, "No space left on device")
    with caplog.at_level(logging.ERROR):
        await _run(Steps(away, away, full, None, full))
    assert [record.getMessage() for record in caplog.records] == [
        "the test failed (away); trying again every 0.001 s",
        "the test failed (OSError: No space left on device); trying again every 0.001 s",
        "the test failed (OSError: No space left on device); trying again every 0.001 s",
    ]


async def test_the_text_of_a_foreign_error_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        await _run(Steps(ValueError("a passage"), None))
    assert "ValueError" in caplog.text
    assert "a passage" not in caplog.text


async def test_a_programming_error_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        await _run(Steps(KeyError("a passage"), None))
    assert "KeyError at " in caplog.text
    assert "test_background.py:" in caplog.text


async def test_a_step_with_pauses_of_its_own_waits_after_an_error_alone() -> None:
    steps = Steps(None, None, RuntimeError())
    async with running(repeat("the test", steps, every_s=3600, at_once=True)):
        await asyncio.wait_for(steps.done.wait(), 60)
        await asyncio.sleep(0.01)
    assert steps.calls == 3


async def test_a_task_that_ends_by_an_error_is_logged_at_once_and_spares_its_block(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    async with running(fails()):
        await asyncio.sleep(0.01)
        assert "fails ended by an error (ZeroDivisionError at " in caplog.text


async def test_the_task_ends_with_its_block() -> None:
    steps = Steps(None)
    await _run(steps)
    calls = steps.calls
    await asyncio.sleep(0.02)
    assert steps.calls == calls
