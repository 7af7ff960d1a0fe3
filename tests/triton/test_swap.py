"""python -m pytest tests/triton/test_swap.py

A new version takes over under load, over HTTP and over gRPC, and can be taken back: no failed request, no ranking of two models.
"""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.triton.versions import Versions, asked_meanwhile


@pytest.fixture
def server(tmp_path: Path, versions: Versions) -> Iterator[Server]:
    running = start_server(tmp_path, RERANKER_MODEL_REPOSITORY=str(versions.repository(tmp_path / "models")))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


def test_a_version_takes_over_and_is_taken_back_under_load(server: Server, versions: Versions, tmp_path: Path) -> None:
    reranker = tmp_path / "models" / "reranker"
    with asked_meanwhile(server, versions) as wait_for:
        versions.put(reranker.parent)
        wait_for("2")
        shutil.rmtree(reranker / "2")
        wait_for("1")
    with urllib.request.urlopen(f"{server.http}/v1/metadata", timeout=60) as answer:
        assert json.loads(answer.read())["digest"] == json.loads((reranker / "1" / "reranker.json").read_text())["digest"]
