"""Runs a client's cases in the environment `.venv-clients` or another, all in one process because the imports take seconds.

The programs are in drivers/; `Outcome` is one case of their output.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

PYTHON = ROOT / ".venv-clients" / "bin" / "python"
LIMIT_S = 500.0  # below pytest's own limit

# Settings against any call but to the server under test.
_OFFLINE = {
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NVIDIA_USAGE_TELEMETRY_ENABLED": "0",
    "NO_PROXY": "127.0.0.1",
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of one case: `value` is the client's result, `error` the text of its exception.

    `body` is the server's answer, if the client's exception carries it.
    """

    value: Any = None
    error: str | None = None
    body: str | None = None

    @property
    def ranking(self) -> list[tuple[int, float]]:
        """(passage, score) in the client's order."""
        assert self.error is None, self.error
        return [(index, score) for index, score in self.value]

    @property
    def refusal(self) -> str:
        """Everything that the user of the client sees of an error."""
        assert self.error is not None, f"expected an error, got {self.value}"
        return f"{self.error}\n{self.body or ''}"


def drive(client: str, base_url: str, model: str, python: Path = PYTHON) -> Mapping[str, Outcome]:
    """The outcomes of drivers/<client>.py with the server at `base_url`, by case."""
    if not python.exists():
        pytest.fail(f"{python.relative_to(ROOT)} is missing: run `make test`, which installs the client libraries")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NVIDIA_", "LITELLM_"))}
    run = subprocess.run(
        [python, "-m", f"tests.clients.drivers.{client}", base_url, model],
        cwd=ROOT,
        env={**inherited, **_OFFLINE},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if run.returncode:
        pytest.fail(f"the driver of {client} exited with {run.returncode}:\n{run.stderr}")
    return {name: Outcome(**outcome) for name, outcome in json.loads(run.stdout).items()}
