"""Hub ids, against a hub of our own that speaks enough of its protocol for the real client."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("huggingface_hub")

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
            files = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40} for file in sorted(self.folder.iterdir())
            ]
            self.send(200, json.dumps(files).encode(), body=body)
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


def export(model: str, folder: Path, endpoint: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The exporter in a process of its own: the hub's client reads its settings once."""
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "cache"), "NO_PROXY": "127.0.0.1", **environment}
    return subprocess.run(
        [sys.executable, "-m", "scripts.export_model", "--model", model, "--out", str(folder / "out")],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_a_hub_id_is_exported_at_a_commit_that_is_recorded_and_found_again_offline(hub: str, tmp_path: Path) -> None:
    done = export("tests/tiny", tmp_path, hub)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "out" / "reranker.json").read_text())
    assert manifest["source"] == {"model": "tests/tiny", "revision": COMMIT}
    assert (manifest["model_id"], manifest["licence"]["name"]) == ("tests/tiny", "mit")
    assert not any(path.endswith(".py") for path in Hub.asked)
    assert any(path.endswith("/sentencepiece.bpe.model") for path in Hub.asked)
    (tmp_path / "out" / "reranker.json").unlink()
    again = export("tests/tiny", tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "out" / "reranker.json").read_text())["source"] == manifest["source"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("tests/gated", "is gated: accept its licence"),
        ("tests/nothing", "is not on the hub, or private"),
        ("no/such/folder", "neither a folder nor a model id"),
    ],
)
def test_what_can_not_be_fetched_says_what_to_do(model: str, message: str, hub: str, tmp_path: Path) -> None:
    done = export(model, tmp_path, hub)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_without_a_connection_the_message_says_so(tmp_path: Path) -> None:
    done = export("tests/tiny", tmp_path, "http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "give the folder of a downloaded checkpoint" in done.stderr
