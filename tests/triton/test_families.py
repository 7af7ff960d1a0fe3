"""python -m pytest tests/triton/test_families.py

A family of each kind of tokenizer and of each kind of attention, served by a real Triton as the next version of one model: the scores over
HTTP are transformers' own, whatever was served before. Every family in every engine: tests/unit/scripts/test_oddities.py.
"""

import json
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import read_bundle
from tests import tiny_checkpoints
from tests.conftest import START_LIMIT_S, Server, start_server, stop_server, wait_until_ready
from tests.exported import Exports
from tests.oddities.scores import own_score
from tests.tiny_checkpoints import JINA, MODULAR

pytestmark = pytest.mark.long

# Word pieces, bytes with prefixes, unigrams, bytes under a prompt; with segment ids and without, causal and not; classifiers of decoders,
# modules of sentence-transformers, and weights under their authors' names.
FAMILIES = ("bert", "mistral_bidirec", "xlm-roberta", "qwen3", "qwen2", "llama", MODULAR, "new", JINA)
QUERY = "which way should i go?"
PASSAGES = [
    "Two roads diverged in a yellow wood.",
    "",
    "then took the other,\n\nas just as fair: " + "and having perhaps the better claim " * 5,
    " 1234 ...!? ",
    "yes",
    "far too long " * 400,
]


def ask(url: str, path: str, body: object = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models as `make serve` has them, without a bundle."""
    folder = tmp_path_factory.mktemp("families") / "models"
    shutil.copytree(REPOSITORY, folder, symlinks=True, ignore=shutil.ignore_patterns("*.onnx", "*.json"))
    return folder


@pytest.fixture(scope="module")
def server(repository: Path, exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started with the first family; the others take over one by one."""
    folder = tmp_path_factory.mktemp("first")
    bundle = exports.bundle(tiny_checkpoints.save(FAMILIES[0], folder / "checkpoint"), folder / "bundle")
    shutil.copytree(bundle, repository / "reranker" / "1", dirs_exist_ok=True)
    running = start_server(folder, RERANKER_MODEL_REPOSITORY=str(repository))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_over_http_are_transformers_own(family: str, server: Server, exports: Exports, repository: Path, tmp_path: Path) -> None:
    checkpoint = tiny_checkpoints.save(family, tmp_path / "checkpoint")
    bundle = exports.bundle(checkpoint, tmp_path / "bundle")
    with torch.inference_mode():
        score = own_score(checkpoint, family, "")
        expected = [score(QUERY, passage) for passage in PASSAGES]
    version = repository / "reranker" / str(len(list((repository / "reranker").glob("[0-9]*"))) + 1)
    shutil.copytree(bundle, version.with_name("being written"))
    (version.with_name("being written") / "model.py").symlink_to("../1/model.py")
    version.with_name("being written").rename(version)
    deadline = time.monotonic() + START_LIMIT_S
    while ask(server.http, "/v1/metadata")["digest"] != read_bundle(bundle).digest:
        assert time.monotonic() < deadline, server.output()[-3000:]
        time.sleep(0.05)
    body = {"query": {"text": QUERY}, "passages": [{"text": passage} for passage in PASSAGES], "truncate": "END"}
    rankings = ask(server.http, "/v1/ranking", body)["rankings"]
    found = {entry["index"]: entry["logit"] for entry in rankings}
    assert [found[index] for index in range(len(PASSAGES))] == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 0.1
