"""python -m pytest tests/unit/scripts/test_failures.py

Whatever ends an export is one line that says what to do; its traceback is shown on request.
"""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

from scripts import export_model
from scripts.export import failures
from scripts.export.checkpoint import ExportError
from tests import tiny_checkpoints
from tests.conftest import ROOT

PATIENCE_S = 100.0


class Panic(BaseException):
    """What a panic of the tokenizers library is: no Exception."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.save("xlm-roberta", tmp_path_factory.mktemp("failures") / "checkpoint")


def ended_by(
    error: BaseException, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *more: str
) -> str:
    """What the exporter says on stderr when its work raises the error."""

    def failing(*_: object) -> None:
        raise error

    monkeypatch.setattr(export_model, "export", failing)
    monkeypatch.setenv("RERANKER_HOME", str(checkpoint.parent / "home"))
    capsys.readouterr()
    assert export_model.main(["--model", str(checkpoint), "--licence-name", "CC0", *more]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.onnx"), "no space is left on the disk"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "model.onnx"), "Permission denied: 'model.onnx'"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes"), "not enough memory"),
        (RuntimeError("bad allocation"), "not enough memory"),
        (KeyError("weights"), "unexpected KeyError: 'weights'"),
        (Panic("AddedVocabulary bad split"), "unexpected Panic: AddedVocabulary bad split"),
        (ValueError("a table\n\nof\n  many lines " + "x" * 9999), "unexpected ValueError: a table of many lines xxx"),
    ],
)
def test_any_exception_of_an_export_is_one_line(
    error: BaseException, message: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ended_by(error, checkpoint, monkeypatch, capsys)
    assert message in line
    assert line.startswith("export_model: ")
    assert line.count("\n") == 1
    assert len(line) < 1000


def test_the_traceback_is_shown_on_request(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    line = ended_by(KeyError("weights"), checkpoint, monkeypatch, capsys)
    shown = ended_by(KeyError("weights"), checkpoint, monkeypatch, capsys, "--verbose")
    assert "--verbose" in line
    assert "Traceback (most recent call last)" in shown
    assert shown.endswith(line)


def test_what_a_library_raises_while_it_loads_names_the_checkpoint_and_keeps_its_cause(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"can't be loaded \(KeyError: 'added_tokens'\)") as caught, failures.loading(tmp_path):
        raise KeyError("added_tokens")
    assert isinstance(caught.value.__cause__, KeyError)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOSPC, "full"), RuntimeError("can't allocate memory")])
def test_what_the_machine_lacks_is_not_blamed_on_the_checkpoint(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)), failures.loading(tmp_path):
        raise error


def test_an_interrupted_export_says_so(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export_model, "export", interrupted)
    assert export_model.main(["--model", str(checkpoint), "--out", str(tmp_path / "out"), "--licence-name", "CC0"]) == 130
    assert capsys.readouterr().err == "export_model: interrupted\n"


def test_an_export_that_is_ended_leaves_no_temporary_files(checkpoint: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.export_model", "--model", str(checkpoint), "--out", str(tmp_path / "model" / "1")], cwd=ROOT
    )
    deadline = time.monotonic() + PATIENCE_S
    while not list(tmp_path.glob("model/.export-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
    assert list((tmp_path / "model").iterdir()) == []
