"""python -m pytest tests/unit/scripts/test_export_to_cache.py

An export without --out: one entry of the cache, in int8 where that passes its gate, and nothing where it fails.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from facade.config.settings import REPOSITORY
from scripts import export_model
from scripts.export import assembly
from scripts.export.assembly import Names
from scripts.export.checkpoint import ExportError
from scripts.model_cache.entries import Entry, entries
from scripts.model_cache.lookup import Wanted, find
from tests import tiny_checkpoints


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.save("xlm-roberta", tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RERANKER_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def export(checkpoint: Path, *more: str) -> int:
    return export_model.main(["--model", str(checkpoint), "--licence-name", "CC0", "--longest", "32", *more])


def exported(models: Path) -> Entry:
    (entry,) = entries(models)
    return entry


def changed_files() -> str:
    """What git says of the checkout."""
    command = ["git", "status", "--porcelain", "--", str(REPOSITORY)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60).stdout


def test_it_is_an_entry_that_is_found_and_the_checkout_stays_as_it_is(
    checkpoint: Path, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = changed_files()
    assert export(checkpoint, "--precision", "fp32") == 0
    entry = exported(models)
    assert find(Wanted(str(checkpoint)), models) == entry
    assert (entry.source, entry.precision, entry.bundle.model_id) == ("tiny", "fp32", "tiny")
    assert capsys.readouterr().out.endswith(f"serve it: make serve MODEL={entry.name}\n")
    assert changed_files() == before
    entry.bundle.verify(*entry.bundle.manifest["files"])


def test_without_a_precision_it_is_int8(checkpoint: Path, models: Path) -> None:
    assert export(checkpoint) == 0
    assert exported(models).bundle.precisions == ("fp32", "int8")


def test_where_int8_is_refused_it_is_fp32_with_a_warning(
    checkpoint: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_int8(read: Any, origin: Any, out: Path, names: Names, texts: Any) -> Any:
        if names.precision == "int8":
            raise ExportError("the bundle does not score like its reference, nothing is written:\n  query 1")
        return assembly.export(read, origin, out, names, texts)

    monkeypatch.setattr(export_model, "export", without_int8)
    assert export(checkpoint) == 0
    assert exported(models).bundle.precisions == ("fp32",)
    assert "WARNING: the bundle has no int8 graph" in capsys.readouterr().err
    assert export(checkpoint, "--precision", "int8") == 1


def test_a_failed_export_leaves_nothing(checkpoint: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_model, "export", full)
    assert export(checkpoint) == 1
    assert [path.name for path in models.iterdir()] == [".locks"]


def test_a_cache_that_can_t_be_written_is_one_line(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RERANKER_HOME", str(tmp_path / "file"))
    assert export(checkpoint) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"export_model: {tmp_path / 'file' / 'models'} can't be written (Not a directory)")


def test_what_another_process_has_exported_meanwhile_is_not_exported_again(
    checkpoint: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(checkpoint, "--precision", "fp32") == 0
    monkeypatch.setattr("scripts.model_cache.writing._lock", lambda *_: True)
    monkeypatch.setattr(export_model, "export", lambda *_: pytest.fail("it was exported again"))
    assert export(checkpoint, "--precision", "fp32") == 0
    assert "was exported by the other process meanwhile" in capsys.readouterr().out
