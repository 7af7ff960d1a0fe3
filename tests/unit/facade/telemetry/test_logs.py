"""python -m pytest tests/unit/facade/telemetry/test_logs.py

What stands in the log: a line for people, or one JSON object a line, with the request that a line is about. Each test runs a process of
its own, since the log is one per process.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

PREAMBLE = """
import logging, sys, warnings
from facade.telemetry import correlation, logs
from facade.config.settings import Settings
logs.configure(Settings.from_environment({settings!r}))
LOG = logging.getLogger("some.part")
"""
JSON_LINES = {"NIM_JSONL_LOGGING": "1"}


def lines(program: str, **settings: str) -> list[str]:
    """What a program writes to standard error; it writes nothing to standard output."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE.format(settings=settings) + program], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout == ""
    return done.stderr.removesuffix("\n").split("\n") if done.stderr else []


def objects(program: str, **settings: str) -> list[dict[str, Any]]:
    """The same as JSON: each line is an object by itself."""
    return [json.loads(line) for line in lines(program, **{**JSON_LINES, **settings})]


def test_a_plain_line_has_time_level_logger_and_message() -> None:
    (line,) = lines("LOG.warning('%d of %s', 3, 'four', extra={'ms': 1.5})")
    assert line.endswith("WARNING some.part: 3 of four")


@pytest.mark.parametrize("settings", [{"NIM_JSONL_LOGGING": "1"}, {"LOG_FORMAT": "json"}], ids=" ".join)
def test_a_json_line_is_an_object_with_the_fields_beside_the_message(settings: dict[str, str]) -> None:
    (line,) = lines("LOG.warning('%d of %s', 3, 'four', extra={'ms': 1.5, 'route': 'ranking'})", **settings)
    found = json.loads(line)
    assert {**found, "time": ""} == {
        "time": "",
        "level": "WARNING",
        "logger": "some.part",
        "message": "3 of four",
        "ms": 1.5,
        "route": "ranking",
    }


def test_the_time_is_rfc_3339_in_utc_to_the_millisecond() -> None:
    (found,) = objects("LOG.info('now')")
    time = datetime.strptime(found["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert len(found["time"]) == len("2026-01-02T03:04:05.678Z")
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=1)


def test_a_line_break_breaks_no_line() -> None:
    (found,) = objects(r"LOG.info('one\ntwo\u2028three')")
    assert found["message"] == "one\ntwo\u2028three"


def test_a_traceback_is_one_field_of_the_object() -> None:
    (found,) = objects("""
try:
    1 / 0
except ZeroDivisionError:
    LOG.exception("it failed")
""")
    assert found["message"] == "it failed"
    assert found["traceback"].startswith("Traceback")
    assert "ZeroDivisionError" in found["traceback"]


def test_what_kills_the_process_is_an_object_too() -> None:
    found = objects("raise RuntimeError('over')")
    assert [line["level"] for line in found] == ["CRITICAL"]
    assert "RuntimeError: over" in found[0]["traceback"]


def test_a_warning_is_a_line_of_the_log() -> None:
    (found,) = objects("warnings.warn('careful')")
    assert (found["level"], found["logger"]) == ("WARNING", "py.warnings")
    assert "careful" in found["message"]


@pytest.mark.parametrize(("level", "logged"), [("DEBUG", 3), ("INFO", 2), ("ERROR", 1), ("CRITICAL", 0)])
def test_less_than_the_level_is_not_logged(level: str, logged: int) -> None:
    assert len(lines("LOG.debug('d'); LOG.info('i'); LOG.error('e')", NIM_LOG_LEVEL=level)) == logged


def test_grpc_does_not_fill_the_log_at_debug() -> None:
    assert len(lines("logging.getLogger('grpc._cython').debug('poll'); LOG.debug('ours')", NIM_LOG_LEVEL="DEBUG")) == 1


def test_whatever_is_logged_for_a_request_has_its_id() -> None:
    program = "LOG.info('before')\nwith correlation.working_for('r-1'):\n    LOG.info('within')\nLOG.info('after')"
    assert [line.get("request_id") for line in objects(program)] == [None, "r-1", None]
    assert [line.endswith("request_id=r-1") for line in lines(program)] == [False, True, False]


def test_an_id_that_the_line_names_itself_stands() -> None:
    (found,) = objects("with correlation.working_for('r-1'): LOG.info('other', extra={'request_id': 'r-2'})")
    assert found["request_id"] == "r-2"


def test_a_refusal_to_start_is_a_plain_line_or_a_json_object() -> None:
    program = (
        "from facade import startup\nfrom facade.errors import SettingsError\nsys.exit(startup.report_refusal('serve', SettingsError('X')))"
    )
    assert lines(program) == ["serve: X"]
    (found,) = objects(program)
    assert (found["level"], found["logger"], found["message"]) == ("CRITICAL", "serve", "X")
