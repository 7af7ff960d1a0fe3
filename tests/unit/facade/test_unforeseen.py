"""python -m pytest tests/unit/facade/test_unforeseen.py

An exception in a line: its type and its way, without its message and without a traceback.
"""

import asyncio
import logging

import pytest

from facade.unforeseen import in_a_line, log_from_loop


def broken(text: str) -> None:
    raise ValueError(text)


def test_the_line_has_type_and_places_and_not_the_message() -> None:
    with pytest.raises(ValueError, match="zanzibar") as raised:
        broken("zanzibar")
    line = in_a_line(raised.value)
    assert line.startswith(f"ValueError at {__file__}:")
    assert line.count(f"{__file__}:") == 2
    assert "zanzibar" not in line
    assert "\n" not in line


def test_an_exception_that_was_never_raised_has_a_line() -> None:
    assert in_a_line(ValueError("zanzibar")) == "ValueError at an unknown place"


async def test_what_a_loop_reports_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_from_loop)
    loop.call_soon(broken, "zanzibar")
    loop.call_exception_handler({"message": "a task was destroyed"})
    await asyncio.sleep(0.01)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert not any(record.exc_info for record in caplog.records)
    assert "zanzibar" not in caplog.text
    assert "a task was destroyed" in caplog.text
    assert "ValueError at " in caplog.text
