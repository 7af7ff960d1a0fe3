"""python -m pytest tests/triton/test_swap.py

A new version takes over under load, over HTTP and over gRPC, and can be taken back: no failed request, no ranking of two models.
"""

import json
import shutil
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from tests.conftest import START_LIMIT_S, Server, start_server, stop_server, wait_until_ready
from tests.triton.grpc_client import text_inputs
from tests.triton.versions import PASSAGES, QUERY, Load, Versions, over_http


def over_grpc(server: Server) -> Callable[[], list[float]]:
    client = InferenceServerClient(server.grpc)

    def ask() -> list[float]:
        result = client.infer(
            "rerank_text", text_inputs([QUERY] * len(PASSAGES), PASSAGES), parameters={"truncate": "END"}, client_timeout=60
        )
        logits = np.empty(len(PASSAGES))
        logits[result.as_numpy("index")[:, 0]] = result.as_numpy("logit")[:, 0]
        return [float(logit) for logit in logits]

    return ask


@pytest.fixture
def server(tmp_path: Path, versions: Versions) -> Iterator[Server]:
    running = start_server(tmp_path, RERANKER_MODEL_REPOSITORY=str(versions.repository(tmp_path / "models")))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


def test_a_version_takes_over_and_is_taken_back_under_load(server: Server, versions: Versions, tmp_path: Path) -> None:
    loads = [Load(over_http(server.http)), Load(over_http(server.http)), Load(over_grpc(server))]
    threads = [threading.Thread(target=load.run) for load in loads]
    for thread in threads:
        thread.start()

    def served(load: Load) -> str | None:
        return versions.of(load.answers[-1][1]) if load.answers else None

    def wait_for(version: str) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while any(served(load) != version for load in loads):
            assert time.monotonic() < deadline, (version, [load.faults[-3:] for load in loads], server.output()[-3000:])
            time.sleep(0.1)

    reranker = tmp_path / "models" / "reranker"
    try:
        wait_for("1")
        versions.put(reranker.parent)
        wait_for("2")
        shutil.rmtree(reranker / "2")
        wait_for("1")
    finally:
        for load in loads:
            load.over.set()
        for thread in threads:
            thread.join()
    assert [load.faults for load in loads] == [[], [], []]
    for load in loads:
        kinds = [versions.of(logits) for _, logits in load.answers]
        assert [kind for place, kind in enumerate(kinds) if place == 0 or kind != kinds[place - 1]] == ["1", "2", "1"]
    with urllib.request.urlopen(f"{server.http}/v1/metadata", timeout=60) as answer:
        assert json.loads(answer.read())["digest"] == json.loads((reranker / "1" / "reranker.json").read_text())["digest"]
