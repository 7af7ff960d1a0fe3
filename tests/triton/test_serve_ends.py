"""python -m pytest tests/triton/test_serve_ends.py

`make serve` ends by signals, wholly: requests are answered first, and nothing is left behind.
"""

import http.client
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tritonclient.grpc import InferenceServerClient

from scripts.serving.run_folder import run_folder
from tests.conftest import ROOT, START_LIMIT_S, Server, stop_server, wait_until_ready
from tests.process_tree import alive, descendants
from tests.triton.grpc_client import text_inputs
from tests.triton.own_server import metrics, rank, ranks, until


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """The folder for a run's temporary files."""
    folder = tmp_path / "places"
    folder.mkdir()
    return folder


@contextmanager
def hanging_up(handler: signal.Handlers) -> Iterator[None]:
    """What a server that is started in the block does at SIGHUP at first: it inherits that, and these tests may run under nohup."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_nothing_behind(fresh: Callable[..., Server], places: Path, number: signal.Signals) -> None:
    with hanging_up(signal.SIG_DFL):
        running = fresh(TMPDIR=str(places))
    wait_until_ready(running)
    processes = descendants(running.process.pid)
    assert len(processes) >= 4
    (folder,) = {match.group(1) for command in processes.values() if (match := re.search(r"(triton-reranker-\w+)/backends", command))}
    running.process.send_signal(number)
    assert running.process.wait(START_LIMIT_S) == 0
    assert alive(processes) == []
    assert list(Path("/dev/shm").glob(f"{folder}*")) == []
    assert list(places.iterdir()) == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(running.http.rpartition(":")[2]))) != 0


def test_a_second_signal_ends_what_the_first_would_have_waited_for(fresh: Callable[..., Server], places: Path) -> None:
    running = fresh(TMPDIR=str(places))
    wait_until_ready(running)
    processes = descendants(running.process.pid)

    def ask_in_vain() -> None:
        with suppress(OSError, http.client.HTTPException):
            rank(running, passages=512, words=100)

    client = threading.Thread(target=ask_in_vain)
    client.start()
    assert until(lambda: "reranker_requests_in_flight 1.0" in metrics(running), START_LIMIT_S)
    running.process.send_signal(signal.SIGINT)
    assert until(lambda: "stopping: the facade finishes" in running.output(), START_LIMIT_S)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(START_LIMIT_S) == 0
    client.join()
    assert alive(processes) == []
    assert "killing facade: its requests in flight are lost" in running.output()
    assert list(places.iterdir()) == []


@pytest.mark.parametrize("numbers", [[signal.SIGHUP], [signal.SIGINT, signal.SIGINT]], ids=["the terminal closes", "Ctrl-C twice"])
def test_a_start_that_is_aborted_leaves_nothing_behind(fresh: Callable[..., Server], places: Path, numbers: list[signal.Signals]) -> None:
    with hanging_up(signal.SIG_DFL):
        running = fresh(TMPDIR=str(places))
    assert until(lambda: any(places.glob("*/models/*")), START_LIMIT_S)
    processes = descendants(running.process.pid)
    for number in numbers:
        running.process.send_signal(number)
    assert running.process.wait(START_LIMIT_S) == 0
    assert list(places.iterdir()) == []
    assert alive(processes) == []


def test_a_server_under_nohup_outlives_its_terminal(fresh: Callable[..., Server]) -> None:
    with hanging_up(signal.SIG_IGN):
        running = fresh()
    wait_until_ready(running)
    running.process.send_signal(signal.SIGHUP)
    assert ranks(running)
    assert "stopping" not in running.output()


def test_a_request_under_way_is_answered_before_the_server_stops(fresh: Callable[..., Server]) -> None:
    running = fresh()
    wait_until_ready(running)
    statuses: list[int] = []
    client = threading.Thread(target=lambda: statuses.append(rank(running, passages=512, words=100)))
    client.start()
    assert until(lambda: "reranker_requests_in_flight 1.0" in metrics(running), START_LIMIT_S)
    assert stop_server(running) == 0
    client.join()
    assert statuses == [200]


@pytest.mark.long
def test_a_stream_that_a_client_holds_open_delays_the_end_and_the_log_says_so(fresh: Callable[..., Server]) -> None:
    running = fresh()
    wait_until_ready(running)
    processes = descendants(running.process.pid)
    answered = threading.Event()
    with InferenceServerClient(running.grpc) as client:
        client.start_stream(lambda **_: answered.set())
        client.async_stream_infer("rerank_text", text_inputs(["which?"], ["this"]))
        assert answered.wait(START_LIMIT_S)
        assert stop_server(running) == 0
    assert alive(processes) == []
    assert "Exit timeout expired" in running.output()
    assert "triton did not end within 10 s and was killed" in running.output()


def test_a_killed_supervisor_takes_its_servers_with_it_and_the_next_start_removes_its_files(
    fresh: Callable[..., Server], places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("setpriv"):
        pytest.fail("setpriv (util-linux) is missing: without it the servers outlive a supervisor that is killed outright")
    running = fresh(TMPDIR=str(places))
    wait_until_ready(running)
    processes = descendants(running.process.pid)
    (left,) = places.iterdir()
    running.process.kill()
    running.process.wait()
    assert until(lambda: alive(processes) == [], START_LIMIT_S), alive(processes)
    monkeypatch.setenv("TMPDIR", str(places))
    with run_folder():
        assert not left.exists()
        assert list(Path("/dev/shm").glob(f"{left.name}*")) == []


def test_servers_end_with_a_test_run_that_is_killed_outright(places: Path) -> None:
    program = (
        "import pathlib, sys, time\n"
        "from tests.conftest import start_server, wait_until_ready\n"
        "server = start_server(pathlib.Path(sys.argv[1]), TMPDIR=sys.argv[1])\n"
        "wait_until_ready(server)\n"
        "print(server.process.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(places)], cwd=ROOT, stdout=subprocess.PIPE) as tests:
        assert tests.stdout
        pid = int(tests.stdout.readline())
        processes = {pid: "the supervisor", **descendants(pid)}
        tests.kill()
    assert until(lambda: alive(processes) == [], START_LIMIT_S), alive(processes)
    assert list(places.glob("triton-reranker-*")) == []
