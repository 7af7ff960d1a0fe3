"""python -m pytest tests/triton/test_swap.py

A new version takes over under load, over HTTP and over gRPC, and can be taken back: no failed request, no ranking of two models.
"""

import json
import shutil
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from facade.settings import REPOSITORY
from scripts import export_model
from scripts.export import families
from tests import tiny_checkpoints
from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.triton.grpc_client import text_inputs

QUERY = "which way should i go?"
PASSAGES = [
    "two roads diverged in a yellow wood",
    "then took the other",
    "and both that morning equally lay",
    "i shall be telling this",
] * 8
TAKEOVER_LIMIT_S = 30.0
MODELS = {"1": "bert", "2": "roberta"}


def scores_of(family: str, checkpoint: Path) -> list[float]:
    reference = families.load(checkpoint)
    assert reference.family == family
    return [reference.reference(reference.encode(QUERY, passage)) for passage in PASSAGES]


@dataclass
class Load:
    """Clients that ask one after the other until told to stop; every answer's logits are kept with the time."""

    ask: Callable[[], list[float]]
    answers: list[tuple[float, list[float]]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.over.is_set():
            try:
                self.answers.append((time.monotonic(), self.ask()))
            except Exception as error:  # noqa: BLE001 (every fault counts)
                self.faults.append(f"{type(error).__name__}: {error}")


def over_http(server: Server) -> Callable[[], list[float]]:
    body = json.dumps({"query": {"text": QUERY}, "passages": [{"text": passage} for passage in PASSAGES]}).encode()

    def ask() -> list[float]:
        request = urllib.request.Request(f"{server.http}/v1/ranking", body, {"Content-Type": "application/json"}, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            rankings = json.loads(answer.read())["rankings"]
        return [entry["logit"] for entry in sorted(rankings, key=lambda entry: entry["index"])]

    return ask


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
def versions(tmp_path: Path) -> dict[str, Path]:
    """Bundles of two families, with tokenizers of their own, ready to be put in place."""
    made = {}
    for version, family in MODELS.items():
        checkpoint = tiny_checkpoints.save(family, tmp_path / family)
        made[version] = tmp_path / f"bundle-{version}"
        assert export_model.main(["--model", str(checkpoint), "--out", str(made[version]), "--name", "tests/swapped"]) == 0
    return made


@pytest.fixture
def server(tmp_path: Path, versions: dict[str, Path]) -> Iterator[Server]:
    repository = tmp_path / "models"
    ignored = shutil.ignore_patterns("*.onnx", "*.json", "__pycache__")
    shutil.copytree(REPOSITORY, repository, symlinks=True, ignore=ignored)
    shutil.copytree(versions["1"], repository / "reranker" / "1", dirs_exist_ok=True)
    running = start_server(tmp_path, RERANKER_MODEL_REPOSITORY=str(repository))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


def put(versions: dict[str, Path], reranker: Path) -> None:
    """Version 2 as the exporter puts it there: code and weights first, the manifest last."""
    folder = reranker / "2"
    folder.mkdir()
    (folder / "model.py").symlink_to("../1/model.py")
    for name in ("model.onnx", "tokenizer.json", "reranker.json"):
        shutil.copy(versions["2"] / name, folder / name)


def test_a_version_takes_over_and_is_taken_back_under_load(server: Server, versions: dict[str, Path], tmp_path: Path) -> None:
    expected = {version: scores_of(family, tmp_path / family) for version, family in MODELS.items()}
    loads = [Load(over_http(server)), Load(over_http(server)), Load(over_grpc(server))]
    threads = [threading.Thread(target=load.run) for load in loads]
    for thread in threads:
        thread.start()

    def version_of(logits: list[float]) -> str:
        return next((version for version, scores in expected.items() if logits == pytest.approx(scores, abs=1e-4)), "mixed")

    def served(load: Load) -> str | None:
        return version_of(load.answers[-1][1]) if load.answers else None

    def wait_for(version: str) -> None:
        deadline = time.monotonic() + TAKEOVER_LIMIT_S
        while any(served(load) != version for load in loads):
            assert time.monotonic() < deadline, (version, [load.faults[-3:] for load in loads], server.output()[-3000:])
            time.sleep(0.1)

    reranker = tmp_path / "models" / "reranker"
    try:
        wait_for("1")
        put(versions, reranker)
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
        kinds = [version_of(logits) for _, logits in load.answers]
        assert [kind for place, kind in enumerate(kinds) if place == 0 or kind != kinds[place - 1]] == ["1", "2", "1"]
    with urllib.request.urlopen(f"{server.http}/v1/metadata", timeout=10) as answer:
        assert json.loads(answer.read())["digest"] == json.loads((reranker / "1" / "reranker.json").read_text())["digest"]


def test_a_version_that_can_not_be_loaded_changes_nothing(server: Server, versions: dict[str, Path], tmp_path: Path) -> None:
    ask = over_http(server)
    before = ask()
    put(versions, tmp_path / "models" / "reranker")
    weights = tmp_path / "models" / "reranker" / "2" / "model.onnx"
    weights.write_bytes(b"damaged")
    deadline = time.monotonic() + TAKEOVER_LIMIT_S
    while "still serving bundle" not in server.output():
        assert ask() == pytest.approx(before, abs=1e-4)
        assert time.monotonic() < deadline, server.output()[-3000:]
    assert ask() == pytest.approx(before, abs=1e-4)
    assert "is not the file that" in server.output()
