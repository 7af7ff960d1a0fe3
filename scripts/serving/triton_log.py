"""Triton's own log as JSON lines: it writes its lines in a form of its own, which no setting turns into objects.

What the Python models write is JSON already, and passes as it is. Knows lines, not processes.
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
# For the lines that are left when Triton and its models have ended.
_LAST_LINES_S = 5.0


@contextmanager
def json_lines() -> Iterator[int]:
    """A file descriptor for Triton's output; what is written to it comes out as JSON lines until the block ends."""
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
            with suppress(Exception):  # whatever becomes of a line, Triton waits for its reader and must not be stopped
                tell(line.rstrip("\n"))


def tell(line: str) -> None:
    """Passes one line of Triton's output on."""
    if line.startswith("{"):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
    elif match := _LINE.fullmatch(line):
        LOG.log(_LEVELS[match["level"]], "%s", _unquoted(match["message"]), extra={"source": match["source"]})
    elif line.strip():
        LOG.info("%s", line)


def _unquoted(message: str) -> str:
    """Triton writes most messages as a JSON string."""
    try:
        return str(json.loads(message))
    except ValueError:
        return message
