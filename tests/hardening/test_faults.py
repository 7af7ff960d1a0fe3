"""python -m pytest tests/hardening/test_faults.py

Each fault has its status, is counted by its reason, shows nothing of the inside, and leaves the server working: a failing engine, logits
that are no numbers, memory that runs out, another bundle. A start that has no room says so in one line.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from tokenizers import Tokenizer

from facade.config.settings import REPOSITORY, Settings
from facade.http.app import create_app
from facade.reranking.bundle import MANIFEST, TOKENIZER, Bundle, manifest_digest
from tests.conftest import ROOT, Server, free_ports, start_server, stop_server, wait_until_ready
from tests.contract.calls import READY, Answer, Client, eventually, get, post, ranked, refused, request, scrape
from tests.hardening.leaks import internals

# An engine that raises, gives no number, or is out of memory for a row with the word, or for more than two rows with it; else the real one.
FAULTY_ENGINE = """
from reranker import model
from reranker.engines.openvino.engine import OpenVinoEngine

def infer(self, rows, _infer=OpenVinoEngine.infer):
    def having(token):
        return sum(token in row.input_ids for row in rows)
    if having({raises}):
        raise RuntimeError("planted fault at /opt/engine/kernel.cc:7, errno 5")
    if having({exhausts}) or having({crowds}) > 2:
        raise MemoryError("planted: 8589934592 bytes at 0xdeadbeef")
    logits = _infer(self, rows)
    logits[[{nan} in row.input_ids for row in rows]] = float("nan")
    return logits[1:] if having({loses}) else logits

OpenVinoEngine.infer = infer
"""
# The model's own part, where it takes a request and where it hands over the logits: both fail for a row with a word of theirs.
FAULTY_MODEL = """

class TritonPythonModel(model.TritonPythonModel):
    def _rows(self, request, digest):
        rows = super()._rows(request, digest)
        if any({refuses} in row.input_ids for row in rows):
            raise KeyError("planted at /opt/model.py:7")
        return rows

    def _response(self, request, answer):
        if any({drops} in row.input_ids for row in self._rows(request, None)):
            raise OSError("planted: no room in /dev/shm")
        return super()._response(request, answer)
"""
WORDS = {
    "raises": "volcano",
    "nan": "glacier",
    "exhausts": "flood",
    "crowds": "meadow",
    "loses": "harvest",
    "refuses": "castle",
    "drops": "bridge",
}
QUIET = ["a river", "a hill", "a lake", "a road"]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("faulty")
    repository = folder / "model_repository"
    shutil.copytree(REPOSITORY, repository, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
    ids = {kind: tokenizer.token_to_id(word) for kind, word in WORDS.items()}
    code = repository / "reranker" / bundle.folder.name / "model.py"
    code.write_text((FAULTY_ENGINE + FAULTY_MODEL).format(**ids))
    running = start_server(folder, RERANKER_MODEL_REPOSITORY=str(repository))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


@pytest.fixture
async def session(faulty: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(faulty.http) as opened:
        yield opened


async def rejects(client: Client) -> dict[str, float]:
    samples = (await scrape(client)).samples
    return {dict(labels)["reason"]: value for (name, labels), value in samples.items() if name == "reranker_rejects_total"}


def clean(answer: Answer, status: int) -> dict[str, Any]:
    """The body of a refusal, held to the envelope and to show nothing of the inside."""
    body = refused(answer, status)
    assert internals(answer.text) == []
    return body


async def rank(client: Client, *passages: str) -> Answer:
    return await post(client, request("what is it?", passages))


@pytest.mark.parametrize("kind", ["raises", "nan", "exhausts", "loses", "refuses", "drops"])
async def test_a_fault_of_the_engine_is_a_500_that_is_counted_and_the_server_lives(session: aiohttp.ClientSession, kind: str) -> None:
    quiet = ranked(await rank(session, *QUIET))
    before = await rejects(session)
    answers = await asyncio.gather(rank(session, *QUIET), rank(session, "a hill", f"a {WORDS[kind]}"), rank(session, *QUIET))
    assert ranked(answers[0]) == ranked(answers[2]) == quiet
    assert clean(answers[1], 500)["type"] == "internal_server_error"
    after = await rejects(session)
    assert {reason: count - before.get(reason, 0) for reason, count in after.items() if count != before.get(reason, 0)} == {"scoring": 1}
    assert (await get(session, READY)).status == 200
    assert ranked(await rank(session, *QUIET)) == quiet


async def failed_batches(client: Client, server: Server) -> int:
    """As Triton's metrics have them; it gets the counts by the end of the next call, so after two calls those until now."""
    for _ in range(2):
        ranked(await rank(client, *QUIET))
    text = await (await client.get(server.metrics)).text()
    return int(float(re.findall(r"^reranker_engine_failed_batches_total\{.*\} (\S+)$", text, re.MULTILINE)[0]))


@pytest.mark.parametrize(("kind", "count"), [("raises", 1), ("nan", 1), ("loses", 1), ("refuses", 0)])
async def test_a_batch_with_a_row_that_can_not_be_scored_is_counted(
    session: aiohttp.ClientSession, faulty: Server, kind: str, count: int
) -> None:
    before = await failed_batches(session, faulty)
    clean(await rank(session, f"a {WORDS[kind]}"), 500)
    assert await failed_batches(session, faulty) == before + count


async def test_a_batch_that_is_too_much_for_the_memory_is_halved_until_it_fits(session: aiohttp.ClientSession) -> None:
    crowd = [f"a meadow with {flowers} flowers" for flowers in range(16)]
    alone = [ranked(await rank(session, passage))[0][1] for passage in crowd]
    together = dict(ranked(await rank(session, *crowd)))
    assert [together[place] for place in range(len(crowd))] == alone


@pytest.fixture
async def stranger(server: Server, bundle: Bundle, tmp_path: Path) -> AsyncIterator[Client]:
    """A facade whose bundle is not the one that Triton serves: the same files, another revision in the manifest."""
    folder = tmp_path / "reranker" / "1"
    shutil.copytree(bundle.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = {**json.loads((folder / MANIFEST).read_text()), "version": "0.0.0"}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "digest": manifest_digest(manifest)}))
    app = create_app(Settings(triton_url=server.grpc, model_repository=tmp_path))
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_facade_with_another_bundle_ranks_nothing_and_is_not_ready(stranger: Client) -> None:
    async def says_why() -> bool:
        return "another model bundle" in (await get(stranger, READY)).text

    await eventually(says_why, "readiness names the other bundle")
    clean(await get(stranger, READY), 503)
    assert "another model bundle" in clean(await rank(stranger, *QUIET), 503)["message"]
    assert (await rejects(stranger))["other_bundle"] == 1


async def test_a_facade_without_a_triton_tells_nothing_of_the_inside() -> None:
    app = create_app(Settings(triton_url=f"127.0.0.1:{free_ports(1)[0]}"))
    async with TestClient(TestServer(app)) as client:
        clean(await get(client, READY), 503)
        clean(await rank(client, *QUIET), 503)
        assert (await rejects(client))["not_ready"] == 1


def start(shell: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m scripts.serve` as $SERVE in a shell that may mount what it likes over its own view of the machine."""
    names = ("NIM_HTTP_API_PORT", "NIM_TRITON_GRPC_PORT", "NIM_TRITON_METRICS_PORT")
    ports = dict(zip(names, map(str, free_ports(3)), strict=True))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NIM_", "RERANKER_"))}
    given = {**inherited, **ports, "SERVE": f"{sys.executable} -m scripts.serve", **environment}
    return subprocess.run(["/bin/sh", "-c", shell], cwd=ROOT, env=given, capture_output=True, text=True, timeout=300, check=False)


def the_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a start which has no room prints."""
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture
def mounts() -> None:
    """Skips a test where only root may mount a small disk."""
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces, to mount a small disk")


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize("room", ["size=4k", "size=4m,nr_inodes=4", "size=4m,nr_inodes=1"], ids=["no room", "a few links", "no folder"])
def test_a_full_disk_is_reported_in_one_line_with_what_to_do(tmp_path: Path, room: str) -> None:
    line = the_line(start(f"unshare -rm sh -c 'mount -t tmpfs -o {room} tmpfs $TMPDIR && exec $SERVE'", TMPDIR=str(tmp_path)))
    assert str(tmp_path) in line
    assert "make room there, or set TMPDIR" in line


def test_a_disk_that_can_not_be_used_is_reported_in_one_line_with_what_to_do(tmp_path: Path) -> None:
    assert "set TMPDIR" in the_line(start("exec $SERVE", TMPDIR=str(tmp_path / "gone")))


@pytest.mark.usefixtures("mounts")
def test_a_full_shared_memory_is_reported_in_one_line_with_what_to_do() -> None:
    line = the_line(start("unshare -rm sh -c 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec $SERVE'"))
    assert "/dev/shm" in line
    assert "--shm-size" in line
