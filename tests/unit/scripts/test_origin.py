"""Hub ids, against a hub of our own that speaks enough of its protocol for the real client."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("huggingface_hub")

from scripts.export.origin import fetch
from tests import tiny_checkpoints
from tests.conftest import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """tests/tiny is there, tests/gated wants a licence accepted, everything else is not found."""

    folder: Path
    asked: list[str]

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        if path.startswith("/api/models/tests/tiny/revision/main"):
            files = [{"rfilename": file.name} for file in sorted(self.folder.iterdir())]
            self.send(200, json.dumps({"id": "tests/tiny", "sha": COMMIT, "siblings": files}).encode(), body=body)
        elif path.startswith("/api/models/tests/tiny/tree/"):
            listed = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40} for file in sorted(self.folder.iterdir())
            ]
            self.send(200, json.dumps(listed).encode(), body=body)
        elif path.startswith(f"/tests/tiny/resolve/{COMMIT}/"):
            self.send(200, (self.folder / path.rpartition("/")[2]).read_bytes(), body=body)
        elif path.startswith("/api/models/tests/gated/"):
            self.send(403, b"{}", body=body, **{"X-Error-Code": "GatedRepo"})
        elif path.startswith("/api/models/tests/tiny/"):
            self.send(404, b"{}", body=body, **{"X-Error-Code": "RevisionNotFound"})
        else:
            self.send(401, b"{}", body=body, **{"X-Error-Code": "RepoNotFound"})

    def send(self, status: int, content: bytes, *, body: bool, **headers: str) -> None:
        self.send_response(status)
        own = {"Content-Length": str(len(content)), "ETag": f'"{sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        for name, value in {**own, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    Hub.folder = tiny_checkpoints.save("bert", tmp_path_factory.mktemp("hub") / "tiny")
    (Hub.folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (Hub.folder / "sentencepiece.bpe.model").write_bytes(b"of another tokenizer")
    (Hub.folder / "modeling_tiny.py").write_text("raise SystemExit('code of a checkpoint was run')")
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


# Exports each model by turns, and says on stderr how each has ended.
EACH = """
import sys
from scripts import export_model
for number, model in enumerate(sys.argv[2:]):
    status = export_model.main(["--model", model, "--out", f"{sys.argv[1]}/{number}"])
    print(f"=== {status}", file=sys.stderr)
"""


@dataclass(frozen=True)
class Ended:
    """How an export has ended: its exit status, what it has written to stderr, and the folder that it was to write."""

    status: int
    error: str
    out: Path


def export(models: Sequence[str], folder: Path, endpoint: str, **environment: str) -> dict[str, Ended]:
    """The exporter, in a process of its own: the hub's client reads its settings once."""
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "cache"), "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-c", EACH, str(folder), *models]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    endings = re.findall(r"(.*?)=== (\d+)\n", done.stderr, re.DOTALL)
    return {
        model: Ended(int(status), error, folder / str(number))
        for number, (model, (error, status)) in enumerate(zip(models, endings, strict=True))
    }


REFUSED = {
    "tests/gated": "is gated: accept its licence",
    "tests/nothing": "is not on the hub, or private",
    "no/such/folder": "neither a folder nor a model id",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exported")


@pytest.fixture(scope="module")
def online(hub: str, folder: Path) -> dict[str, Ended]:
    return export(["tests/tiny", *REFUSED], folder, hub)


@pytest.fixture(scope="module")
def offline(online: dict[str, Ended], folder: Path) -> dict[str, Ended]:
    """With the cache that the exports with a connection have left."""
    (folder / "again").mkdir()
    (folder / "cache").rename(folder / "again" / "cache")
    return export(["tests/tiny", "tests/other"], folder / "again", "http://127.0.0.1:9", HF_HUB_OFFLINE="1")


def manifest(ended: Ended) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((ended.out / "reranker.json").read_text())
    return content


def test_a_hub_id_is_exported_at_a_commit_that_is_recorded(online: dict[str, Ended]) -> None:
    assert online["tests/tiny"].status == 0, online["tests/tiny"].error
    found = manifest(online["tests/tiny"])
    assert found["source"] == {"model": "tests/tiny", "revision": COMMIT}
    assert (found["model_id"], found["licence"]["name"]) == ("tests/tiny", "mit")
    assert not any(path.endswith(".py") for path in Hub.asked)
    assert any(path.endswith("/sentencepiece.bpe.model") for path in Hub.asked)


def test_it_is_found_again_without_a_connection(offline: dict[str, Ended]) -> None:
    assert offline["tests/tiny"].status == 0, offline["tests/tiny"].error
    assert manifest(offline["tests/tiny"])["source"] == {"model": "tests/tiny", "revision": COMMIT}


@pytest.mark.parametrize("model", REFUSED)
def test_what_can_not_be_fetched_says_what_to_do(model: str, online: dict[str, Ended]) -> None:
    ended = online[model]
    assert ended.status == 1
    assert REFUSED[model] in ended.error
    assert ended.error.strip().count("\n") == 0
    assert not ended.out.exists()


def test_without_a_connection_the_message_says_so(offline: dict[str, Ended]) -> None:
    assert offline["tests/other"].status == 1
    assert "give the folder of a downloaded checkpoint" in offline["tests/other"].error


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("licence.json", '{"name": "CC0", "text": "Free."}', "CC0"),
        ("README.md", "---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\nlicense: none\n", "apache-2.0"),
        ("README.md", "# A model\nlicense: none\n", "unstated"),
    ],
    ids=["own", "model card", "card without a head"],
)
def test_licence_comes_from_the_checkpoint(tmp_path: Path, file: str, text: str, name: str) -> None:
    (tmp_path / file).write_text(text)
    assert fetch(str(tmp_path), None).licence.name == name
