"""python -m pytest tests/unit/scripts/test_export_log.py

An export prints its own lines and its own warnings; what libraries log is shown on request. In processes of their own, since libraries
set up their logs once.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests import tiny_checkpoints
from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(300)  # seconds; two starts of torch on a machine that is busy


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of a family at which transformers and torch's exporter have much to say."""
    return tiny_checkpoints.save("modernbert", tmp_path_factory.mktemp("log") / "checkpoint")


def said(checkpoint: Path, out: Path, *more: str) -> str:
    """What a successful export writes to stderr."""
    command = [sys.executable, "-m", "scripts.export_model", "--model", str(checkpoint), "--out", str(out), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_only_the_projects_own_warning_is_shown(checkpoint: Path, tmp_path: Path) -> None:
    assert said(checkpoint, tmp_path / "out") == (
        "WARNING: checkpoint states no licence: ask its author before you use it, and state it with --licence-name\n"
    )


def test_what_libraries_log_is_shown_on_request(checkpoint: Path, tmp_path: Path) -> None:
    shown = said(checkpoint, tmp_path / "out", "--verbose", "--licence-name", "CC0")
    assert "[transformers]" in shown
    assert "torchvision" in shown
