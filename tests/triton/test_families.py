"""python -m pytest tests/triton/test_families.py

Every family that can be exported, served: its scores over HTTP are its reference's, whatever it is batched with.
"""

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from facade.settings import REPOSITORY
from scripts import export_model
from scripts.export import families
from tests import tiny_checkpoints
from tests.conftest import start_server, stop_server, wait_until_ready

QUERY = "which way should i go?"
PASSAGES = [
    "Two roads diverged in a yellow wood.",
    "",
    "then took the other,\n\nas just as fair: " + "and having perhaps the better claim " * 5,
    " 1234 ...!? ",
    "yes",
    "far too long " * 400,
]


def served(folder: Path, checkpoint: Path) -> Path:
    """A model repository whose reranker is the exported checkpoint."""
    repository = folder / "models"
    shutil.copytree(REPOSITORY, repository, symlinks=True, ignore=shutil.ignore_patterns("*.onnx", "*.json"))
    out = repository / "reranker" / "1"
    assert export_model.main(["--model", str(checkpoint), "--out", str(out), "--name", f"tests/{checkpoint.name}"]) == 0
    return repository


@pytest.mark.parametrize("family", sorted(tiny_checkpoints.MAKE))
def test_scores_over_http_are_the_reference_s(family: str, tmp_path: Path) -> None:
    checkpoint = tiny_checkpoints.save(family, tmp_path / family)
    server = start_server(tmp_path, RERANKER_MODEL_REPOSITORY=str(served(tmp_path, checkpoint)))
    try:
        wait_until_ready(server)
        body = {"query": {"text": QUERY}, "passages": [{"text": passage} for passage in PASSAGES], "truncate": "END"}
        request = urllib.request.Request(
            f"{server.http}/v1/ranking", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            rankings = json.loads(answer.read())["rankings"]
    finally:
        stop_server(server)
    reference = families.load(checkpoint)
    expected = [reference.reference(reference.encode(QUERY, passage)) for passage in PASSAGES]
    found = {entry["index"]: entry["logit"] for entry in rankings}
    assert [found[index] for index in range(len(PASSAGES))] == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 0.1
