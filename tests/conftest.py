"""What all tests share: the default bundle, and one real server for the whole run: tritonserver and facade as `make serve` starts them."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from facade.config.settings import REPOSITORY
from facade.reranking import pairs
from facade.reranking.bundle import Bundle, newest_version, read_bundle
from facade.reranking.tokenizer import read_tokenizer
from tests.slowness import slowness

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT_S = 300.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="hardening and fleet tests as long as the promises are, not in their quick form")
    parser.addoption("--without-torch", action="store_true", help="skip the tests that need torch, and save the seconds of its import")


def pytest_configure(config: pytest.Config) -> None:
    """Let an import of torch fail as if it were not installed, where --without-torch says so."""
    if config.getoption("--without-torch"):
        sys.modules["torch"] = None  # type: ignore[assignment]  # the import system takes None as: not installed


def pytest_runtest_setup() -> None:
    """Have torch compute the references in one thread.

    Its threads wait for each other at each operation, spinning: on busy cores the 200 reference scores took 196 s with two threads, and
    37 s with one. Models this small take less time with one on an idle machine, too.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def one_reading_of_a_tokenizer() -> Iterator[None]:
    """Read a tokenizer.json of the same content once in this process: it takes 40 ms, and hundreds of tests start an app of their own."""

    known: dict[tuple[bytes, frozenset[int]], Tokenizer] = {}

    def read(path: Path, as_text: Collection[int] = ()) -> Tokenizer:
        key = hashlib.sha256(path.read_bytes()).digest(), frozenset(as_text)
        if key not in known:
            known[key] = read_tokenizer(path, as_text)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "read_tokenizer", read)
        yield


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether a test is to take its time."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def slow(full: bool) -> float:
    """The factor by which a promise of seconds may be exceeded: three where nothing says that the machine is idle and as fast as others.

    Beside other work it grows by the measured slowness.
    """
    return slowness() * (1.0 if full else 3.0)


@dataclass(frozen=True)
class Server:
    """A running server: addresses, the process of `scripts.serve`, and the file with all of its output."""

    http: str
    grpc: str
    metrics: str
    triton_http: str
    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        return self.log.read_text()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now; held together while they are drawn, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def leash() -> list[str]:
    """The beginning of a command whose process gets SIGTERM when the tests' process ends, even where that is killed."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def start_server(folder: Path, **environment: str) -> Server:
    """Start `python -m scripts.serve` on free ports with further settings; returns at once."""
    http, grpc, metrics, triton_http = free_ports(4)
    log = folder / "serve.log"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NIM_", "RERANKER_"))}
    ports = {
        "NIM_HTTP_API_PORT": str(http),
        "NIM_TRITON_GRPC_PORT": str(grpc),
        "NIM_TRITON_METRICS_PORT": str(metrics),
        "NIM_HTTP_TRITON_PORT": str(triton_http),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*leash(), sys.executable, "-m", "scripts.serve"],
            cwd=ROOT,
            env={**inherited, **ports, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(
        f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}", f"http://127.0.0.1:{metrics}/metrics", f"127.0.0.1:{triton_http}", process, log
    )


def wait_until_ready(server: Server, limit_s: float = START_LIMIT_S) -> None:
    """Return once the server says that it is ready, and is; fail with its output where it never does."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            pytest.fail(f"the server exited with {server.process.returncode}:\n{server.output()}")
        try:
            with urllib.request.urlopen(f"{server.http}/v1/health/ready", timeout=5) as answer:
                if answer.status == 200 and "Ready after" in server.output():
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    pytest.fail(f"the server was not ready after {limit_s} s:\n{server.output()}")


def stop_server(server: Server, limit_s: float = 120.0) -> int:
    """SIGTERM, and its exit code."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
    return server.process.wait(limit_s)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real thing with the default bundle and default settings."""
    running = start_server(tmp_path_factory.mktemp("server"))
    try:
        wait_until_ready(running)
        yield running
    finally:
        stop_server(running)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The default bundle."""
    return read_bundle(newest_version(REPOSITORY / "reranker"))
