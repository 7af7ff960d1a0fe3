"""python -m pytest tests/unit/serving/test_health.py

The image's health check: it asks where the server listens, and says what is wrong.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from facade.config.settings import Settings
from scripts.serving.health import address, fault, main
from tests.conftest import free_ports


class Answering(BaseHTTPRequestHandler):
    """Ready at its path, not ready anywhere else."""

    def do_GET(self) -> None:
        ready = self.path == "/v1/health/ready"
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(b"not ready: no inference has succeeded yet")

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server."""
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"RERANKER_HTTP_HOST": "0.0.0.0", "NIM_SERVER_PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"NIM_SERVER_BIND_ADDR": "10.1.2.3:8100"}, "http://10.1.2.3:8100"),
        ({"RERANKER_HTTP_HOST": "::"}, "http://[::1]:8000"),
        ({"NIM_TLS_CERT_PATH": "cert.pem", "NIM_TLS_KEY_PATH": "key.pem"}, "https://127.0.0.1:8000"),
        (
            {"NIM_TLS_CERT_PATH": "cert.pem", "NIM_TLS_KEY_PATH": "key.pem", "RERANKER_HEALTH_BIND_ADDR": "0.0.0.0:8003"},
            "http://127.0.0.1:8003",
        ),
    ],
)
def test_it_asks_where_the_server_listens(tmp_path: Path, environment: dict[str, str], asked: str) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    here = {name: str(tmp_path / value) if value.endswith(".pem") else value for name, value in environment.items()}
    assert address(Settings.from_environment(here)) == f"{asked}/v1/health/ready"


def test_a_ready_server_has_no_fault(port: int) -> None:
    assert fault(f"http://127.0.0.1:{port}/v1/health/ready") is None


def test_one_that_is_not_ready_says_why(port: int) -> None:
    reason = fault(f"http://127.0.0.1:{port}/other")
    assert reason is not None
    assert "answers 503: not ready: no inference" in reason


def test_the_exit_code_says_whether_it_is_ready(port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NIM_HTTP_API_PORT", str(port))
    assert main() == 0
    monkeypatch.setenv("NIM_HTTP_API_PORT", "1")
    assert main() == 1
    assert "does not answer" in capsys.readouterr().err
    monkeypatch.setenv("NIM_HTTP_API_PORT", "many")
    assert main() == 1
    assert "NIM_HTTP_API_PORT" in capsys.readouterr().err


def test_a_proxy_of_the_environment_is_not_asked(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (closed,) = free_ports(1)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fault(f"http://127.0.0.1:{port}/v1/health/ready") is None
