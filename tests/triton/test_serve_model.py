"""python -m pytest tests/triton/test_serve_model.py

`make serve MODEL=<folder>`: exported at the first start, served at once at the second, with the checkpoint's own scores; the
checkout stays as it is.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.export import families
from tests import tiny_checkpoints
from tests.conftest import ROOT, START_LIMIT_S, free_ports

FAMILIES = ("bert", "xlm-roberta", "modernbert", "qwen3")
QUERY, PASSAGES = "which way should i go?", ["two roads diverged", "then took the other", "1234 metres"]
# The environment that the Makefile makes: another one, of another Python, has no torch to export with.
pytestmark = pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="make uses .venv")


@pytest.fixture(scope="module", params=[FAMILIES[0], *(pytest.param(family, marks=pytest.mark.long) for family in FAMILIES[1:])])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.save(request.param, tmp_path_factory.mktemp("checkpoints") / request.param)


def served(checkpoint: Path, home: Path, log: Path, **variables: str) -> list[float]:
    """The passages' logits by a server that make starts and that is stopped again. `log` gets its output."""
    ports = free_ports(3)
    names = ("NIM_HTTP_API_PORT", "NIM_TRITON_GRPC_PORT", "NIM_TRITON_METRICS_PORT")
    settings = {name: str(port) for name, port in zip(names, ports, strict=True)}
    environment = {name: text for name, text in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}}
    with log.open("w") as output:
        process = subprocess.Popen(
            ["make", "serve", f"MODEL={checkpoint}", *(f"{name}={text}" for name, text in variables.items())],
            cwd=ROOT,
            env={**environment, **settings, "RERANKER_HOME": str(home), "RERANKER_PRECISION": "fp32"},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while "Ready after" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        return ranked(f"http://127.0.0.1:{ports[0]}")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(START_LIMIT_S)


def ranked(url: str) -> list[float]:
    body = json.dumps({"query": {"text": QUERY}, "passages": [{"text": passage} for passage in PASSAGES]}).encode()
    request = urllib.request.Request(f"{url}/v1/ranking", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        rankings = json.load(answer)["rankings"]
    return [entry["logit"] for entry in sorted(rankings, key=lambda entry: entry["index"])]


@pytest.fixture
def checkout_unchanged() -> Iterator[None]:
    """Git's view of the checkout is the same after the test."""

    def status() -> str:
        return subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60).stdout

    before = status()
    yield
    assert status() == before


def test_a_checkpoint_is_exported_once_and_served(checkpoint: Path, tmp_path: Path, checkout_unchanged: None) -> None:
    del checkout_unchanged
    reference = families.load(checkpoint)
    expected = [reference.reference(reference.encode(QUERY, passage)) for passage in PASSAGES]
    log = tmp_path / "log"
    assert served(checkpoint, tmp_path / "home", log, PRECISION="fp32") == pytest.approx(expected, abs=1e-3)
    assert "exporting it, once" in log.read_text()
    assert served(checkpoint, tmp_path / "home", log) == pytest.approx(expected, abs=1e-3)
    assert "export" not in log.read_text()
