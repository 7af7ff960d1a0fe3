"""python -m pytest tests/triton/test_switch.py

A server of an exported model switches to another one by `make switch` under load, over HTTP and gRPC: no failed request, and the folder of
the code stays as it is. Each export is what `make export-model` leaves in the cache.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, START_LIMIT_S, Server, start_server, stop_server, wait_until_ready
from tests.triton.versions import Versions, asked_meanwhile


@pytest.fixture
def server(tmp_path: Path, versions: Versions) -> Iterator[Server]:
    running = start_server(tmp_path, RERANKER_MODEL=str(versions.bundles["1"]))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


def switch(server: Server, model: Path, **more: str) -> subprocess.CompletedProcess[str]:
    port = server.http.rpartition(":")[2]
    environment = {**os.environ, "RERANKER_MODEL": str(model), "NIM_HTTP_API_PORT": port, **more}
    command = [sys.executable, "-m", "scripts.switch_model"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=START_LIMIT_S)


def digest(server: Server) -> str:
    with urllib.request.urlopen(f"{server.http}/v1/metadata", timeout=60) as answer:
        return str(json.load(answer)["digest"])


def test_models_are_switched_there_and_back_under_load(server: Server, versions: Versions) -> None:
    with asked_meanwhile(server, versions) as wait_for:
        for version in ("2", "1"):
            done = switch(server, versions.bundles[version])
            assert done.returncode == 0, done.stderr
            assert done.stdout.splitlines()[-1].startswith(
                f"the server on port {server.http.rpartition(':')[2]} serves tests/tiny, bundle "
            )
            wait_for(version)
    assert digest(server) == json.loads((versions.bundles["1"] / "reranker.json").read_text())["digest"]


def test_a_model_that_the_server_can_t_load_is_refused_and_the_served_one_stays(server: Server, versions: Versions, tmp_path: Path) -> None:
    served = digest(server)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in versions.bundles["2"].iterdir():
        (damaged / path.name).symlink_to(path)
    (damaged / "model.onnx").unlink()
    (damaged / "model.onnx").write_bytes(b"no graph")
    done = switch(server, damaged)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "keeps its model, it can't serve tests/tiny: " in line
    assert "model.onnx is not the file that reranker.json describes" in line
    assert digest(server) == served


def test_a_served_model_is_not_removed(versions: Versions, tmp_path: Path) -> None:
    entry = tmp_path / "home" / "models" / "entry"
    entry.parent.mkdir(parents=True)
    entry.symlink_to(versions.bundles["1"])
    running = start_server(tmp_path, RERANKER_MODEL="entry", RERANKER_HOME=str(tmp_path / "home"))
    try:
        wait_until_ready(running)
        command = [sys.executable, "-m", "scripts.models", "--remove", "entry"]
        environment = {**os.environ, "RERANKER_HOME": str(tmp_path / "home")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=START_LIMIT_S)
        assert (done.returncode, "serves entry: stop it" in done.stderr) == (2, True)
    finally:
        assert stop_server(running) == 0
    assert entry.exists()
