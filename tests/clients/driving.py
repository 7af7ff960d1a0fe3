"""Runs a client in the environment `.venv-clients`: one process for all of its cases, because its imports take seconds.

The driver programs are in drivers/; what they print, `Outcome` reads.
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

# Nothing here calls anybody but the server under test.
_STAY_HOME = {
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NVIDIA_USAGE_TELEMETRY_ENABLED": "0",
    "NO_PROXY": "127.0.0.1",
}


@dataclass(frozen=True)
class Outcome:
    """How one case of a driver ended: `value` is what the client returned, `error` the text of what it raised.

    `body`: the server's answer, where the client's exception carries it beside its text.
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
        """All that the client lets its user know of an error."""
        assert self.error is not None, f"expected an error, got {self.value}"
        return f"{self.error}\n{self.body or ''}"


def drive(client: str, base_url: str, model: str, python: Path = PYTHON) -> Mapping[str, Outcome]:
    """Outcomes of drivers/<client>.py against the server at `base_url`, by the names of its cases."""
    if not python.exists():
        pytest.fail(f"{python.relative_to(ROOT)} is missing: run `make test`, which installs the client libraries")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("NVIDIA_", "LITELLM_"))}
    run = subprocess.run(
        [python, "-m", f"tests.clients.drivers.{client}", base_url, model],
        cwd=ROOT,
        env={**inherited, **_STAY_HOME},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if run.returncode:
        pytest.fail(f"the driver of {client} exited with {run.returncode}:\n{run.stderr}")
    return {name: Outcome(**outcome) for name, outcome in json.loads(run.stdout).items()}
