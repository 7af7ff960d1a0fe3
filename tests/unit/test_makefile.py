"""python -m pytest tests/unit/test_makefile.py

Which Python an environment is made with: 3.11 or 3.12, whichever runs; and in one line, why none can be used.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

Make = Callable[..., tuple[int, str]]
SHIM = "echo 'pyenv: the command exists in another version' >&2; exit 127"
# Answers the Makefile's questions as a Python of that version, and says what it was asked to make.
RUNS = """case "$*" in
*version_info*) exit {unsuitable};;
*venv*) echo "made with {name}"; mkdir -p "$3/bin"; touch "$3/bin/python";;
esac"""


@pytest.fixture
def make_environment(tmp_path: Path) -> Make:
    """Makes an environment where the named programs are the machine's only Pythons; what make says, and its exit code."""

    def make(pythons: dict[str, str], *arguments: str) -> tuple[int, str]:
        programs = tmp_path / "bin"
        programs.mkdir()
        for name, script in pythons.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        for name in ("mkdir", "touch", "sh", "awk", "sed"):
            (programs / name).symlink_to(shutil.which(name) or name)
        environment = {"PATH": str(programs), "HOME": str(tmp_path), "MAKE": "make"}
        command = [shutil.which("make") or "make", f"VENV={tmp_path / 'venv'}", f"{tmp_path / 'venv'}/bin/python", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stdout + done.stderr

    return make


def runs(name: str, unsuitable: int = 0) -> str:
    return RUNS.format(name=name, unsuitable=unsuitable)


@pytest.mark.parametrize(
    ("pythons", "made_with"),
    [
        ({"python3.11": runs("3.11")}, "3.11"),
        ({"python3.12": runs("3.12")}, "3.12"),
        ({"python3.11": runs("3.11"), "python3.12": runs("3.12")}, "3.11"),
        ({"python3.11": SHIM, "python3.12": runs("3.12")}, "3.12"),
    ],
    ids=["3.11 alone", "3.12 alone", "both", "a shim that leads nowhere"],
)
def test_the_python_that_is_there_is_taken(make_environment: Make, pythons: dict[str, str], made_with: str) -> None:
    code, told = make_environment(pythons)
    assert code == 0, told
    assert f"made with {made_with}" in told


def test_one_that_pyenv_has_is_found_without_being_selected(make_environment: Make, tmp_path: Path) -> None:
    own = tmp_path / ".pyenv" / "versions" / "3.12.1" / "bin"
    own.mkdir(parents=True)
    (own / "python3.12").write_text(f"#!/bin/sh\n{runs('pyenv')}\n")
    (own / "python3.12").chmod(0o755)
    code, told = make_environment({"python3.12": SHIM})
    assert code == 0, told
    assert "made with pyenv" in told


def test_none_is_told_in_one_line_with_what_to_do(make_environment: Make) -> None:
    code, told = make_environment({"python3.12": SHIM})
    assert code == 2
    assert "neither Python 3.11 nor 3.12 was found: install one of them, or name it: make PYTHON=/path/to/python3.12" in told


def test_another_version_is_refused_with_the_reason(make_environment: Make) -> None:
    code, told = make_environment({"python3.13": runs("3.13", unsuitable=1)}, "PYTHON=python3.13")
    assert code == 2
    assert "python3.13 is neither Python 3.11 nor 3.12 (Triton needs NumPy 1 here, which has no build for 3.13)" in told


def test_ci_has_the_tests_of_what_serves_on_the_other_python() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    assert re.search(r"\$\(MAKE\) test-python312$", recipe, re.MULTILINE)


def test_ci_leaves_no_test_out_that_takes_long() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    assert re.search(r"\$\(MAKE\) test ALL=1$", recipe, re.MULTILINE)
