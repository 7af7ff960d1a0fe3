"""Triton's log as JSON lines: Triton has no setting for JSON.

The lines of the Python models are JSON already and pass unchanged. Knows lines, not processes.
"""

import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOG = logging.getLogger("triton")

_LINE = re.compile(r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ \d+ (?P<source>[^\s\]]+)\] (?P<message>.*)")
_LEVELS = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}
# To read the last lines after Triton and its models have ended.
_LAST_LINES_S = 5.0


@contextmanager
def json_lines() -> Iterator[int]:
    """A file descriptor for Triton's output, whose lines are logged as JSON until the block ends."""
    reading, writing = os.pipe()
    relay = threading.Thread(target=_relay, args=(reading,), name="triton-log", daemon=True)
    relay.start()
    try:
        yield writing
    finally:
        os.close(writing)
        relay.join(_LAST_LINES_S)


def _relay(reading: int) -> None:
    with open(reading, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            with suppress(Exception):  # a line that fails must not stop the reading: Triton would block
                log_line(line.rstrip("\n"))


def log_line(line: str) -> None:
    """Write one line of Triton's output as JSON."""
    if line.startswith("{"):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    elif match := _LINE.fullmatch(line):
        LOG.log(_LEVELS[match["level"]], "%s", _unquoted(match["message"]), extra={"source": match["source"]})
    elif line.strip():
        LOG.info("%s", line)


def _unquoted(message: str) -> str:
    """The message without quotes: Triton writes most messages as a JSON string."""
    try:
        return str(json.loads(message))
    except ValueError:
        return message
