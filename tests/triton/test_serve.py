"""python -m pytest tests/triton/test_serve.py

`make serve` as its user meets it: what it prints, and what it serves under which settings. How it ends: test_serve_ends.py; a start that
fails: test_serve_fails.py; what it survives: tests/hardening/test_recovery.py.
"""

import json
import re
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from tritonclient.grpc import InferenceServerClient

from tests.conftest import Server, start_server, stop_server, wait_until_ready
from tests.process_tree import descendants
from tests.triton.grpc_client import text_inputs
from tests.triton.own_server import ranks

NAME = "nvidia/llama-nemotron-rerank-1b-v2"
IGNORED = {"NIM_MAX_SEQ_LENGHT": "64", "NIM_CACHE_PATH": "/cache", "NIM_SERVER_PORT": "tcp://10.96.7.1:8000"}


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a further name, variables that set nothing, and a proxy that takes connections and never answers."""
    with socket.socket() as proxy:
        proxy.bind(("127.0.0.1", 0))
        proxy.listen()
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        proxies = {name: url for each in ("http_proxy", "https_proxy") for name in (each, each.upper())}
        further = {**IGNORED, **proxies, "no_proxy": "", "NO_PROXY": "", "NIM_SERVED_MODEL_NAME": NAME}
        running = start_server(tmp_path_factory.mktemp("configured"), **further)
        try:
            wait_until_ready(running)
            yield running
        finally:
            stop_server(running)


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
    assert "a page to try it at /" in line


def test_a_variable_that_sets_nothing_is_warned_of_once(configured: Server) -> None:
    for name in IGNORED:
        assert len(re.findall(rf"\b{name}\b", configured.output())) == 1, configured.output()


def test_no_command_line_shows_a_key(server: Server) -> None:
    commands = descendants(server.process.pid).values()
    assert any("bin/tritonserver --model-repository=" in command for command in commands)
    assert [command for command in commands if "admin=" in command or "restricted" in command] == []


def test_a_proxy_of_the_environment_keeps_the_server_from_nothing(configured: Server) -> None:
    assert ranks(configured)


def test_further_names_are_served_over_http_and_grpc(configured: Server) -> None:
    body = {"model": NAME, "query": {"text": "which?"}, "passages": [{"text": "this"}]}
    request = urllib.request.Request(f"{configured.http}/v1/ranking", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        over_http = json.load(answer)["rankings"][0]["logit"]
    with InferenceServerClient(configured.grpc) as client:
        over_grpc = client.infer("nvidia_llama_nemotron_rerank_1b_v2", text_inputs(["which?"], ["this"])).as_numpy("logit")
    assert over_grpc[0, 0] == pytest.approx(over_http, abs=1e-5)
