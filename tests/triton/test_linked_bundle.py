"""python -m pytest tests/triton/test_linked_bundle.py

A bundle out of a hub's cache, where every file is a link to one that is named after its content, starts and scores as the files themselves.
"""

import hashlib
import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import Bundle
from tests.conftest import Server, start_server, stop_server, wait_until_ready

BODY = {
    "query": {"text": "which rock floats?"},
    "passages": [{"text": "Pumice is so full of holes that it floats on water."}, {"text": "Granite is a hard rock."}],
}


@pytest.fixture
def repository(bundle: Bundle, tmp_path: Path) -> Path:
    """The models of `make serve`, their files in the hub's layout: blobs beside, and links in the version's folder."""
    folder = tmp_path / "models"
    shutil.copytree(REPOSITORY, folder, symlinks=True, ignore=shutil.ignore_patterns("*.onnx", "*.json", "__pycache__"))
    blobs = folder / "blobs"
    blobs.mkdir()
    version = folder / "reranker" / "1"
    for source in (*(bundle.folder / name for name in ("reranker.json", *bundle.manifest["files"])), bundle.folder / "model.py"):
        blob = blobs / hashlib.sha256(source.read_bytes()).hexdigest()
        shutil.copyfile(source, blob)
        (version / source.name).unlink(missing_ok=True)
        (version / source.name).symlink_to(Path("../../blobs") / blob.name)
    return folder


def logits(server: Server) -> list[float]:
    request = urllib.request.Request(f"{server.http}/v1/ranking", json.dumps(BODY).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return [entry["logit"] for entry in json.loads(answer.read())["rankings"]]


def test_a_bundle_of_links_scores_as_its_files_do(repository: Path, server: Server, tmp_path: Path) -> None:
    linked = start_server(tmp_path, RERANKER_MODEL_REPOSITORY=str(repository))
    try:
        wait_until_ready(linked)
        assert logits(linked) == logits(server)
    finally:
        stop_server(linked)
