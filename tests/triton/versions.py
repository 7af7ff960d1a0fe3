"""Two tiny models of different families as versions of one bundle, and clients that know which of them an answer is from."""

import json
import shutil
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from facade.config.settings import REPOSITORY
from scripts.export import families
from tests import tiny_checkpoints
from tests.exported import Exports

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
