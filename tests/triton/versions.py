"""Two tiny models of different families as versions of one bundle, and clients that know which of them an answer is from."""

import json
import shutil
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from facade.config.settings import REPOSITORY
from scripts.export import families
from tests import tiny_checkpoints
from tests.conftest import START_LIMIT_S, Server
from tests.exported import Exports
from tests.triton.grpc_client import text_inputs

QUERY = "which way should i go?"
PASSAGES = [
    "two roads diverged in a yellow wood",
    "then took the other",
    "and both that morning equally lay",
    "i shall be telling this",
] * 8
MODELS = {"1": "bert", "2": "roberta"}


@dataclass(frozen=True)
class Versions:
    """Bundles by version, and the logits that transformers gives PASSAGES with each."""

    bundles: dict[str, Path]
    logits: dict[str, list[float]]

    def of(self, logits: list[float]) -> str:
        """The version that an answer is from."""
        return next((version for version, scores in self.logits.items() if logits == pytest.approx(scores, abs=1e-4)), "mixed")

    def repository(self, folder: Path) -> Path:
        """A model repository in `folder` that serves version 1."""
        ignored = shutil.ignore_patterns("*.onnx", "*.json", "__pycache__")
        shutil.copytree(REPOSITORY, folder, symlinks=True, ignore=ignored)
        shutil.copytree(self.bundles["1"], folder / "reranker" / "1", dirs_exist_ok=True)
        return folder

    def put(self, repository: Path) -> None:
        """Add version 2 as the exporter does: code and weights first, the manifest last."""
        folder = repository / "reranker" / "2"
        folder.mkdir()
        (folder / "model.py").symlink_to("../1/model.py")
        for name in ("model.onnx", "tokenizer.json", "reranker.json"):
            shutil.copy(self.bundles["2"] / name, folder / name)


def make(folder: Path, exports: Exports) -> Versions:
    """Bundles of two families, with tokenizers of their own, ready to be put in place."""
    bundles, logits = {}, {}
    for version, family in MODELS.items():
        checkpoint = tiny_checkpoints.save(family, folder / family / "checkpoint")
        bundles[version] = exports.bundle(checkpoint, folder / f"bundle-{version}")
        reference = families.load(checkpoint)
        assert reference.family == family
        logits[version] = [reference.reference(reference.encode(QUERY, passage)) for passage in PASSAGES]
    return Versions(bundles, logits)


def over_http(url: str) -> Callable[[], list[float]]:
    """Asks for a ranking; the logits in the passages' order."""
    body = json.dumps({"query": {"text": QUERY}, "passages": [{"text": passage} for passage in PASSAGES]}).encode()

    def ask() -> list[float]:
        request = urllib.request.Request(f"{url}/v1/ranking", body, {"Content-Type": "application/json"}, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            rankings = json.loads(answer.read())["rankings"]
        return [entry["logit"] for entry in sorted(rankings, key=lambda entry: entry["index"])]

    return ask


@dataclass
class Load:
    """Clients that ask one after the other until stopped; every answer's logits are kept with the time."""

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


@contextmanager
def asked_meanwhile(server: Server, versions: Versions) -> Iterator[Callable[[str], None]]:
    """Clients over HTTP and gRPC, while the block has the server change from version 1 to 2 and back; yields what waits for a version.

    After the block: no request has failed, and no client was answered by other versions than these three in turn.
    """
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

    try:
        wait_for("1")
        yield wait_for
    finally:
        for load in loads:
            load.over.set()
        for thread in threads:
            thread.join()
    assert [load.faults for load in loads] == [[], [], []]
    for load in loads:
        kinds = [versions.of(logits) for _, logits in load.answers]
        assert [kind for place, kind in enumerate(kinds) if place == 0 or kind != kinds[place - 1]] == ["1", "2", "1"]
