"""python -m pytest tests/unit/serving/test_triton_log.py

Each line of Triton's comes out as one JSON object.
"""

import json
import subprocess
import sys

PROGRAM = """
import os, sys
from facade.telemetry import logs
from facade.config.settings import Settings
from scripts.serving import triton_log
logs.configure(Settings(jsonl=True))
with triton_log.json_lines() as output:
    os.write(output, sys.stdin.buffer.read())
"""
LINES = r"""I1123 11:16:27.818123 77 cache_manager.cc:480] "Create CacheManager with cache_dir: '/opt'"
W1123 11:16:27.818123 77 a.cc:1] "two\nlines"
E1123 11:16:27.818123 77 server.cc:241] CudaDriverHelper has not been initialized.
{"level":"INFO","logger":"reranker","message":"the stub's own"}

Signal (15) received.
"""


def relayed(sent: bytes) -> list[dict[str, str]]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=sent, capture_output=True, check=True, timeout=300)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_each_line_is_an_object_with_its_level_and_source() -> None:
    logged = [(line["level"], line["logger"], line["message"], line.get("source")) for line in relayed(LINES.encode())]
    assert logged == [
        ("INFO", "triton", "Create CacheManager with cache_dir: '/opt'", "cache_manager.cc:480"),
        ("WARNING", "triton", "two\nlines", "a.cc:1"),
        ("ERROR", "triton", "CudaDriverHelper has not been initialized.", "server.cc:241"),
        ("INFO", "reranker", "the stub's own", None),
        ("INFO", "triton", "Signal (15) received.", None),
    ]


def test_bytes_that_are_no_text_stop_nothing() -> None:
    assert [line["message"] for line in relayed(b"\xff\xfe\nstill here\n")] == ["\ufffd\ufffd", "still here"]


def test_a_line_that_can_not_be_read_stops_nothing() -> None:
    """Nested deeper than the JSON reader goes."""
    nested = b"I1123 11:16:27.818123 77 a.cc:1] " + b"[" * 200_000
    assert [line["message"] for line in relayed(nested + b"\nstill here\n")][-1] == "still here"


def test_a_line_without_its_end_is_logged_once_triton_has_ended() -> None:
    assert [line["message"] for line in relayed(b"Segmentation fault")] == ["Segmentation fault"]
