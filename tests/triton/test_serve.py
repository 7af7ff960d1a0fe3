"""python -m pytest tests/triton/test_serve.py

`make serve` as its user meets it: what it prints, how it stops. What it survives: tests/hardening/test_recovery.py.
"""

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tritonclient.grpc import InferenceServerClient

from facade.config.settings import REPOSITORY
from scripts.serving.run_folder import run_folder
from tests.conftest import ROOT, START_LIMIT_S, Server, start_server, stop_server, wait_until_ready
from tests.process_tree import alive, descendants
from tests.slowness import slowness
from tests.triton.grpc_client import text_inputs


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that the test may harm; stops what is left of them."""
    started: list[Server] = []

    def start(**environment: str) -> Server:
        running = start_server(tmp_path, **environment)
        started.append(running)
        return running

    yield start
    for running in started:
        stop_server(running)


def rank(server: Server, passages: int = 4, words: int = 5) -> int:
    body = json.dumps({"query": {"text": "which one?"}, "passages": [{"text": f"number {index} " * words} for index in range(passages)]})
    request = urllib.request.Request(f"{server.http}/v1/ranking", body.encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert len(json.load(answer)["rankings"]) == passages
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


def until(condition: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def ranks(server: Server) -> bool:
    """Whether it ranks before long. On a busy machine Triton may call a starved model unhealthy; it answers 503 until it is restarted."""
    if until(lambda: rank(server) == 200, START_LIMIT_S):
        return True
    print(server.output())
    return False


def test_the_printed_curl_ranks(server: Server) -> None:
    command = re.search(r"^curl .*?\}'$", server.output(), re.MULTILINE | re.DOTALL)
    assert command, server.output()
    answer = subprocess.run(["bash", "-c", command.group()], capture_output=True, text=True, check=True)
    rankings = json.loads(answer.stdout)["rankings"]
    assert sorted(entry["index"] for entry in rankings) == [0, 1]
    assert rankings[0]["logit"] >= rankings[1]["logit"]


def test_one_line_tells_the_address_and_the_model(server: Server) -> None:
    (line,) = (line for line in server.output().splitlines() if line.startswith("Ready after"))
    assert server.http in line
    assert "triton-reranker/minilm-l6-en-v1" in line


def test_a_variable_that_sets_nothing_is_warned_of_once(fresh: Callable[..., Server]) -> None:
    server = fresh(NIM_MAX_SEQ_LENGHT="64", NIM_CACHE_PATH="/cache", NIM_SERVER_PORT="tcp://10.96.7.1:8000")
    wait_until_ready(server)
    for name in ("NIM_MAX_SEQ_LENGHT", "NIM_CACHE_PATH", "NIM_SERVER_PORT"):
        assert len(re.findall(rf"\b{name}\b", server.output())) == 1, server.output()


def test_no_command_line_shows_a_key(server: Server) -> None:
    commands = descendants(server.process.pid).values()
    assert any("bin/tritonserver --model-repository=" in command for command in commands)
    assert [command for command in commands if "admin=" in command or "restricted" in command] == []


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """The folder for a run's temporary files."""
    folder = tmp_path / "places"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_nothing_behind(fresh: Callable[..., Server], places: Path, number: signal.Signals) -> None:
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
    slow = slowness()

    def ask_in_vain() -> None:
        with suppress(OSError, http.client.HTTPException):
            rank(running, passages=512, words=100)

    client = threading.Thread(target=ask_in_vain)
    client.start()
    assert until(lambda: "reranker_requests_in_flight 1.0" in metrics(running), START_LIMIT_S)
    running.process.send_signal(signal.SIGINT)
    assert until(lambda: "stopping: the facade finishes" in running.output(), START_LIMIT_S)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(5 * slow) == 0
    client.join()
    assert alive(processes) == []
    assert "killing facade: its requests in flight are lost" in running.output()
    assert list(places.iterdir()) == []


@pytest.mark.parametrize("numbers", [[signal.SIGHUP], [signal.SIGINT, signal.SIGINT]], ids=["the terminal closes", "Ctrl-C twice"])
def test_a_start_that_is_aborted_leaves_nothing_behind(fresh: Callable[..., Server], places: Path, numbers: list[signal.Signals]) -> None:
    running = fresh(TMPDIR=str(places))
    assert until(lambda: any(places.glob("*/models/*")), START_LIMIT_S)
    processes = descendants(running.process.pid)
    for number in numbers:
        running.process.send_signal(number)
    assert running.process.wait(START_LIMIT_S) == 0
    assert list(places.iterdir()) == []
    assert alive(processes) == []


def test_a_server_under_nohup_outlives_its_terminal(fresh: Callable[..., Server]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = fresh()
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_until_ready(running)
    running.process.send_signal(signal.SIGHUP)
    assert ranks(running)
    assert "stopping" not in running.output()


def test_a_proxy_of_the_environment_keeps_the_server_from_nothing(fresh: Callable[..., Server]) -> None:
    with socket.socket() as proxy:  # takes connections, and never says a word
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        running = fresh(http_proxy=url, https_proxy=url, HTTP_PROXY=url, HTTPS_PROXY=url, no_proxy="", NO_PROXY="")
        wait_until_ready(running)
        assert ranks(running)


def test_a_request_under_way_is_answered_before_the_server_stops(fresh: Callable[..., Server]) -> None:
    running = fresh()
    wait_until_ready(running)
    statuses: list[int] = []
    client = threading.Thread(target=lambda: statuses.append(rank(running, passages=64, words=100)))
    client.start()
    assert until(lambda: "reranker_requests_in_flight 1.0" in metrics(running), START_LIMIT_S)
    assert stop_server(running) == 0
    client.join()
    assert statuses == [200]


def metrics(server: Server) -> str:
    with urllib.request.urlopen(f"{server.http}/v1/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def test_a_stream_that_a_client_holds_open_delays_the_end_and_the_log_says_so(fresh: Callable[..., Server]) -> None:
    running = fresh()
    wait_until_ready(running)
    processes = descendants(running.process.pid)
    answered = threading.Event()
    with InferenceServerClient(running.grpc) as client:
        client.start_stream(lambda **_: answered.set())
        client.async_stream_infer("rerank_text", text_inputs(["which?"], ["this"]))
        assert answered.wait(30)
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


def test_further_names_are_served_over_http_and_grpc(fresh: Callable[..., Server]) -> None:
    running = fresh(NIM_SERVED_MODEL_NAME="nvidia/llama-nemotron-rerank-1b-v2")
    wait_until_ready(running)
    body = {"model": "nvidia/llama-nemotron-rerank-1b-v2", "query": {"text": "which?"}, "passages": [{"text": "this"}]}
    request = urllib.request.Request(f"{running.http}/v1/ranking", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        over_http = json.load(answer)["rankings"][0]["logit"]
    with InferenceServerClient(running.grpc) as client:
        over_grpc = client.infer("nvidia_llama_nemotron_rerank_1b_v2", text_inputs(["which?"], ["this"])).as_numpy("logit")
    assert over_grpc[0, 0] == pytest.approx(over_http, abs=1e-5)


def start_fails(server: Server) -> str:
    """The one line that a start which can't succeed prints."""
    assert server.process.wait(START_LIMIT_S) == 2
    (line,) = (line for line in server.output().splitlines() if line.startswith("serve:"))
    return line


def test_a_port_in_use_is_told_with_the_variable_to_set(fresh: Callable[..., Server]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = start_fails(fresh(NIM_HTTP_API_PORT=str(port)))
    assert f"port {port}" in line
    assert "NIM_HTTP_API_PORT" in line


def test_a_missing_bundle_is_told_with_the_command_that_makes_one(fresh: Callable[..., Server], tmp_path: Path) -> None:
    line = start_fails(fresh(RERANKER_MODEL_REPOSITORY=str(tmp_path)))
    assert "make export-model" in line


def test_a_damaged_bundle_is_told_before_anything_starts(fresh: Callable[..., Server], tmp_path: Path) -> None:
    version = tmp_path / "reranker" / "1"
    shutil.copytree(REPOSITORY / "reranker" / "1", version)
    with (version / "model.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    line = start_fails(fresh(RERANKER_MODEL_REPOSITORY=str(tmp_path)))
    assert "model.onnx" in line


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NIM_MAX_SEQ_LEN", "513", "513"),
        ("NIM_SERVER_REQUEST_TIMEOUT_S", "soon", "NIM_SERVER_REQUEST_TIMEOUT_S=soon"),
        ("NIM_TRITON_METRICS_PORT", "99999", "NIM_TRITON_METRICS_PORT=99999"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told(fresh: Callable[..., Server], name: str, value: str, told: str) -> None:
    assert told in start_fails(fresh(**{name: value}))
