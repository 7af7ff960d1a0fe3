"""python -m pytest tests/triton/test_serve_fails.py

A start that can't succeed ends `make serve` with one line that says what to do.
"""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from facade.config.settings import REPOSITORY
from tests.conftest import START_LIMIT_S, Server


def start_fails(server: Server) -> str:
    """The one line that a start which can't succeed prints."""
    assert server.process.wait(START_LIMIT_S) == 2
    (line,) = (line for line in server.output().splitlines() if line.startswith("serve:"))
    return line


def test_a_port_in_use_is_told_with_the_variable_to_set(fresh: Callable[..., Server]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = start_fails(fresh(NIM_HTTP_API_PORT=str(port)))
    assert f"port {port}" in line
    assert "NIM_HTTP_API_PORT" in line


def test_a_missing_bundle_is_told_with_the_command_that_makes_one(fresh: Callable[..., Server], tmp_path: Path) -> None:
    line = start_fails(fresh(RERANKER_MODEL_REPOSITORY=str(tmp_path)))
    assert "make export-model" in line


def test_a_damaged_bundle_is_told_before_anything_starts(fresh: Callable[..., Server], tmp_path: Path) -> None:
    version = tmp_path / "reranker" / "1"
    shutil.copytree(REPOSITORY / "reranker" / "1", version)
    with (version / "model.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    line = start_fails(fresh(RERANKER_MODEL_REPOSITORY=str(tmp_path)))
    assert "model.onnx" in line


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NIM_MAX_SEQ_LEN", "513", "513"),
        ("NIM_SERVER_REQUEST_TIMEOUT_S", "soon", "NIM_SERVER_REQUEST_TIMEOUT_S=soon"),
        ("NIM_TRITON_METRICS_PORT", "99999", "NIM_TRITON_METRICS_PORT=99999"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told(fresh: Callable[..., Server], name: str, value: str, told: str) -> None:
    assert told in start_fails(fresh(**{name: value}))
