"""python -m pytest tests/triton/test_families.py

Every family that can be exported, and some odd checkpoints, served as the next version of one model: the scores over HTTP are those of the
reference, whatever a pair is batched with and whatever was served before.
"""

import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from facade.config.settings import REPOSITORY
from facade.reranking.bundle import read_bundle
from scripts import export_model
from scripts.export import families
from tests import tiny_checkpoints
from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.oddities.served import SERVED

SAVE: dict[str, Callable[[Path], Path]] = {family: partial(tiny_checkpoints.save, family) for family in sorted(tiny_checkpoints.MAKE)}
# Other inputs, another head, and another prompt than their families'.
SHOWN = ("no segment ids", "two labels, `irrelevant`", "with a chat template for pairs")
SAVE |= {str(odd): odd.save for odd in SERVED if any(words in odd.what for words in SHOWN)}
FIRST = next(iter(SAVE))
QUERY = "which way should i go?"
PASSAGES = [
    "Two roads diverged in a yellow wood.",
    "",
    "then took the other,\n\nas just as fair: " + "and having perhaps the better claim " * 5,
    " 1234 ...!? ",
    "yes",
    "far too long " * 400,
]


NAME = "tests/family"
TAKEOVER_LIMIT_S = 120.0


def export(checkpoint: Path, out: Path) -> str:
    """Export the checkpoint as a version of the one model that is served; its digest."""
    assert export_model.main(["--model", str(checkpoint), "--out", str(out), "--name", NAME]) == 0
    return read_bundle(out).digest


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
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started with the first family; the others take over one by one."""
    folder = tmp_path_factory.mktemp("first")
    export(SAVE[FIRST](folder / FIRST), repository / "reranker" / "1")
    running = start_server(folder, RERANKER_MODEL_REPOSITORY=str(repository))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


@pytest.mark.parametrize("name", SAVE)
def test_scores_over_http_are_the_reference_s(name: str, server: Server, repository: Path, tmp_path: Path) -> None:
    checkpoint = SAVE[name](tmp_path / "checkpoint")
    version = repository / "reranker" / str(len(list((repository / "reranker").glob("[0-9]*"))) + 1)
    digest = export(checkpoint, tmp_path / "bundle")
    shutil.copytree(tmp_path / "bundle", version.with_name("being written"))
    (version.with_name("being written") / "model.py").symlink_to("../1/model.py")
    version.with_name("being written").rename(version)
    deadline = time.monotonic() + TAKEOVER_LIMIT_S
    while ask(server.http, "/v1/metadata")["digest"] != digest:
        assert time.monotonic() < deadline, server.output()[-3000:]
        time.sleep(0.05)
    body = {"query": {"text": QUERY}, "passages": [{"text": passage} for passage in PASSAGES], "truncate": "END"}
    rankings = ask(server.http, "/v1/ranking", body)["rankings"]
    reference = families.load(checkpoint)
    expected = [reference.reference(reference.encode(QUERY, passage)) for passage in PASSAGES]
    found = {entry["index"]: entry["logit"] for entry in rankings}
    assert [found[index] for index in range(len(PASSAGES))] == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 0.1
