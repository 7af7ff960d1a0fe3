"""python -m pytest tests/triton/test_readme.py

The documented commands do what the pages say: the README's curl gets its answer, and so does the one with TLS and an API key.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conftest import ROOT, Server, free_ports, start_server, stop_server, wait_until_ready

README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def test_the_curl_gets_the_answer_that_the_readme_shows(server: Server) -> None:
    found = re.search(r"```\n(curl .*?)\n```\n\n```json\n(.*?)\n```", README, re.DOTALL)
    assert found
    command, shown = found.group(1).replace("http://localhost:8000", server.http), json.loads(found.group(2))
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    got = json.loads(answer.stdout)
    assert got["usage"] == shown["usage"]
    assert [entry["index"] for entry in got["rankings"]] == [entry["index"] for entry in shown["rankings"]]
    for entry, expected in zip(got["rankings"], shown["rankings"], strict=True):
        assert entry["logit"] == pytest.approx(expected["logit"], abs=0.05)  # int8 rounds a little differently on other processors


@dataclass(frozen=True)
class Locked:
    """The server of the section on keys and TLS, the folder with its files, and the command that asks it."""

    server: Server
    folder: Path
    curl: str

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return run(command, self.folder)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A documented shell command, with this environment's Python and this tree's code."""
    ours = f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)}"
    shell = ["bash", "-c", command.replace(".venv/bin/python", ours)]
    return subprocess.run(shell, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    found = re.search(r"## Secure it\n.*?```\n(.*?)\n([^\n]+) make serve\n\n(.*?)\n```", OPERATIONS, re.DOTALL)
    assert found
    prepare, settings, curl = found.groups()
    prepared = run(f"set -e; {prepare}", folder)
    assert prepared.returncode == 0, prepared.stderr
    named = dict(setting.split("=") for setting in settings.split())
    (health,) = free_ports(1)
    environment = {name: str(folder / file) for name, file in named.items()}
    running = start_server(folder, **environment, RERANKER_HEALTH_BIND_ADDR=f"127.0.0.1:{health}")
    try:
        wait_until_ready(replace(running, http=f"http://127.0.0.1:{health}"))
        yield Locked(running, folder, curl.replace("localhost:8000", f"localhost:{running.http.rpartition(':')[2]}"))
    finally:
        stop_server(running)


def test_with_its_certificate_and_its_key_the_curl_is_answered(locked: Locked) -> None:
    answered = locked.run(f"{locked.curl} -s -w '%{{http_code}}' -o answer")
    assert answered.stdout == "200", answered.stderr
    assert json.loads((locked.folder / "answer").read_text())["data"]


def test_without_either_it_is_not(locked: Locked) -> None:
    with_another_key = locked.curl.replace("$(sed -n 2p new-key)", "guessed")
    assert locked.run(f"{with_another_key} -s -w '%{{http_code}}' -o answer").stdout == "401"
    with_no_certificate = locked.curl.replace("--cacert cert.pem", "-sS")
    assert "certificate" in locked.run(with_no_certificate).stderr


def test_the_command_that_the_server_prints_ranks_once_the_key_is_filled_in(locked: Locked) -> None:
    found = re.search(r"^curl .*?\}'$", locked.server.output(), re.MULTILINE | re.DOTALL)
    assert found, locked.server.output()
    key = (locked.folder / "new-key").read_text().splitlines()[1]
    answered = locked.run(found.group().replace("<key>", key))
    assert len(json.loads(answered.stdout)["rankings"]) == 2
    assert key not in locked.server.output()
