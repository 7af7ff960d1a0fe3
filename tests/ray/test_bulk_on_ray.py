"""python -m pytest -m large tests/ray (make test-ray)

A bulk run on Ray, on this machine alone or by a cluster's address, writes the bytes of a plain run, and each goes on with the other's.
"""

import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from scripts.bulk import run_state
from tests.conftest import ROOT, free_ports

pytestmark = [pytest.mark.large, pytest.mark.timeout(300)]

ENVIRONMENT = ROOT / ".venv-ray" / "bin"
LIMIT_S = 120.0  # Ray takes ten seconds to start, on a busy machine more
BLOCKS, BLOCK_ROWS = 40, 50
WORDS = ("stone", "water", "fire", "wood", "sand", "iron", "river", "cloud")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not ENVIRONMENT.exists():
        pytest.fail(f"{ENVIRONMENT.relative_to(ROOT)} is missing: run `make test-ray`, which installs Ray")
    generator = random.Random(4)
    rows = [
        {"id": place, "query": generator.choice(WORDS), "passage": " ".join(generator.choices(WORDS, k=generator.randint(0, 50)))}
        for place in range(BLOCKS * BLOCK_ROWS)
    ]
    rows[7]["query"] = ""
    path = tmp_path_factory.mktemp("bulk") / "in.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def plain(source: Path) -> Path:
    out = source.with_name("plain.parquet")
    subprocess.run(command(source, out, python=Path(sys.executable)), cwd=ROOT, check=True)
    return out


def command(source: Path, out: Path, *further: str, python: Path = ENVIRONMENT / "python") -> list[str | Path]:
    return [python, "-m", "scripts.rerank_bulk", source, "--out", out, "--block-rows", str(BLOCK_ROWS), *further]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "not within the limit"
        time.sleep(0.01)


def assert_same(plain: Path, out: Path) -> None:
    assert out.read_bytes() == plain.read_bytes()
    rejected = [path.with_name(f"{path.name}.rejected.jsonl").read_bytes() for path in (plain, out)]
    assert rejected[0] == rejected[1]
    assert not run_state.working_folder(out).exists()


def test_ray_on_this_machine_writes_the_bytes_of_a_plain_run(source: Path, plain: Path) -> None:
    out = source.with_name("local.parquet")
    subprocess.run(command(source, out, "--ray"), cwd=ROOT, check=True)
    assert_same(plain, out)


def test_a_run_that_was_stopped_on_ray_goes_on_without_it(source: Path, plain: Path) -> None:
    out = source.with_name("stopped.parquet")
    process = subprocess.Popen(command(source, out, "--ray"), cwd=ROOT, stderr=subprocess.PIPE)

    def some_are_done() -> bool:
        assert process.poll() is None
        return any(run_state.working_folder(out).glob("0*.json"))

    eventually(some_are_done)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert b"the same command goes on" in told
    assert b"Traceback" not in told
    assert not out.exists()
    subprocess.run(command(source, out, python=Path(sys.executable)), cwd=ROOT, check=True)
    assert_same(plain, out)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a Ray head that is a process of its own, with a token made for it, which drivers find in the same variables."""
    (port,) = free_ports(1)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    head = [
        str(ENVIRONMENT / "ray"),
        "start",
        "--head",
        "--block",
        "--node-ip-address=127.0.0.1",
        f"--port={port}",
        "--include-dashboard=false",
    ]
    process = subprocess.Popen(head, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_a_cluster_is_found_by_its_address(source: Path, plain: Path, cluster: str) -> None:
    out = source.with_name("cluster.parquet")

    def connected() -> bool:
        """A cluster that still starts is refused at once."""
        return subprocess.run(command(source, out, "--ray", cluster), cwd=ROOT, check=False).returncode == 0

    eventually(connected)
    assert_same(plain, out)


def test_a_cluster_that_is_not_there_is_told_at_once(source: Path) -> None:
    (port,) = free_ports(1)
    told = subprocess.run(
        command(source, source.with_name("none.jsonl"), "--ray", f"127.0.0.1:{port}"), cwd=ROOT, check=False, stderr=subprocess.PIPE
    )
    assert told.returncode == 2
    assert b"no Ray cluster at 127.0.0.1" in told.stderr
    assert b"check the address" in told.stderr
