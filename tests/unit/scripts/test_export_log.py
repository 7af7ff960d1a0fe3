"""python -m pytest tests/unit/scripts/test_export_log.py

An export prints its own lines and its own warnings; what libraries log is shown on request. In a process of its own, since libraries set
up their logs once.
"""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from tests import tiny_checkpoints
from tests.conftest import ROOT
from tests.oddities.changes import one_layer

BOTH = """
import sys
from scripts import export_model
checkpoint, out = sys.argv[1:]
for more in ([], ["--verbose", "--licence-name", "CC0"]):
    print("a new export", file=sys.stderr)
    assert export_model.main(["--model", checkpoint, "--out", out, *more]) == 0
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What two successful exports write to stderr: an ordinary one, and one on request with all that libraries log."""
    folder = tmp_path_factory.mktemp("log")
    checkpoint = tiny_checkpoints.save("deberta-v2", folder / "checkpoint")  # transformers and torch's exporter have much to say of it
    one_layer(checkpoint)
    command = [sys.executable, "-c", BOTH, str(checkpoint), str(folder / "out")]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.split("a new export\n")


def test_only_the_projects_own_warning_is_shown(said: list[str]) -> None:
    start, ordinary, _ = said
    assert start == ""
    assert ordinary == "WARNING: checkpoint states no licence: ask its author before you use it, and state it with --licence-name\n"


def test_what_libraries_log_is_shown_on_request(said: list[str]) -> None:
    assert "Loading weights" in said[-1]
    assert "torchvision" in said[-1]
