"""python -m pytest tests/unit/scripts/test_bench_aiperf.py

The command that AIPerf gets, and the table of its figures; AIPerf itself is 1.2 GB and not run here.
"""

import json
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import IO

import pytest

from facade.reranking.bundle import TOKENIZER, Bundle
from scripts import bench_aiperf
from tests.conftest import free_ports

FIGURES = {
    "request_throughput": {"unit": "requests/sec", "avg": 2.5},
    "request_latency": {"unit": "ms", "avg": 1600.0, "p50": 1500.0, "p90": 2000.0, "p99": 2500.25},
    "request_count": {"unit": "requests", "avg": 99.0},
    "error_summary": [{"error_details": {"code": 503}, "count": 1}],
}


class Models(BaseHTTPRequestHandler):
    """Answers every GET with the models of a server."""

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": "org/model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Models) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def measured(workplace: Path, url: str, commands: list[Sequence[str]], *more: str, status: int = 0, figures: bool = True) -> int:
    """The exit status of the command, with a program in AIPerf's place."""

    def run(command: Sequence[str], _: IO[bytes]) -> int:
        commands.append(command)
        if figures:
            (Path(command[command.index("--artifact-dir") + 1]) / bench_aiperf.REPORT).write_text(json.dumps(FIGURES))
        return status

    return bench_aiperf.main(["--workplace", str(workplace), "--url", url, *more], run, lambda *_: None)


def test_the_figures_are_a_table_with_pairs_a_second(tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert measured(tmp_path, url, [], "--passages", "10") == 0
    printed = capsys.readouterr().out
    rows = ["| load | 4 clients, 10 passages of 128 tokens |", "| requests, failed | 99, 1 |", "| pairs a second | 25.0 |"]
    assert all(row in printed for row in [*rows, "| latency p99, ms | 2500.2 |"])


def test_aiperf_is_asked_for_the_nim_s_shape_with_the_served_model_and_its_tokenizer(tmp_path: Path, url: str, bundle: Bundle) -> None:
    commands: list[Sequence[str]] = []
    measured(tmp_path, url, commands, "--concurrency", "8", "--passage-tokens", "64")
    (words,) = commands
    asked = dict(zip(words[2::2], words[3::2], strict=True))
    assert words[:2] == [str(tmp_path / "aiperf" / "bin" / "aiperf"), "profile"]
    assert (asked["--model"], asked["--url"], asked["--endpoint-type"]) == ("org/model", url, "nim-rankings")
    assert (asked["--concurrency"], asked["--warmup-request-count"]) == ("8", "16")
    assert asked["--rankings-passages-prompt-token-mean"] == "64"
    folder = Path(asked["--tokenizer"])
    assert json.loads((folder / TOKENIZER).read_text()) == json.loads((bundle.folder / TOKENIZER).read_text())
    assert json.loads((folder / "tokenizer_config.json").read_text())["unk_token"] == "[UNK]"


@pytest.mark.parametrize(("status", "figures"), [(1, True), (0, False)])
def test_a_run_without_figures_names_its_log(
    status: int, figures: bool, tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measured(tmp_path, url, [], status=status, figures=figures) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"bench-aiperf: AIPerf ended with status {status} and without figures: see {tmp_path / 'logs' / 'aiperf.log'}"


def test_without_a_server_nothing_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    options = ["--workplace", str(tmp_path), "--url", f"http://127.0.0.1:{port}"]
    assert bench_aiperf.main(options, install=lambda *_: sys.exit("installed")) == 1
    assert "check that a server listens there" in capsys.readouterr().err
