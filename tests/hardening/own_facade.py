"""A facade of a test's own, in front of the Triton that runs already: the process that serves HTTP, and nothing else."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT, START_LIMIT_S, Server, free_ports, leash


@dataclass(frozen=True)
class Facade:
    """A running `python -m facade`: the ports of the API and of health alone, the process, and the file with its output."""

    port: int
    health_port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        return self.log.read_text()

    def stop(self, limit_s: float = 120.0) -> int:
        """SIGTERM, and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(limit_s)


def start_facade(triton: Server, folder: Path, **environment: str) -> Facade:
    """Start it on free ports; returns at once."""
    port, health_port = free_ports(2)
    log = folder / f"facade-{port}.log"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NIM_", "RERANKER_"))}
    own = {
        "NIM_HTTP_API_PORT": str(port),
        "RERANKER_HEALTH_BIND_ADDR": f"127.0.0.1:{health_port}",
        "RERANKER_TRITON_URL": triton.grpc,
    }
    with log.open("wb") as output:
        command = [*leash(), sys.executable, "-m", "facade"]
        process = subprocess.Popen(command, cwd=ROOT, env={**inherited, **own, **environment}, stdout=output, stderr=subprocess.STDOUT)
    return Facade(port, health_port, process, log)


def wait_until_ready(facade: Facade) -> Facade:
    """Return once it is ready; fail with its output where it never is."""
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and facade.process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{facade.health_port}/v1/health/ready", timeout=5):
                return facade
        except OSError:
            time.sleep(0.05)
    facade.stop()
    pytest.fail(f"the facade was never ready:\n{facade.output()}")
