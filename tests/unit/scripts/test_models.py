"""python -m pytest tests/unit/scripts/test_models.py

`make models`: what is listed, found and removed, and what is refused.
"""

from pathlib import Path

import pytest

from facade.reranking.bundle import Bundle
from scripts import models as command
from tests.unit.scripts.cached_models import cached, write_checkpoint


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RERANKER_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command.main([*arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command.main([*arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_an_empty_cache_says_how_to_fill_it(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys) == f"no exported models in {models}; export and serve one: make serve MODEL=<hub id or folder>\n"


def test_each_model_has_a_row_and_the_commands_are_below(models: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    report = {**bundle.manifest["parity"], "max_abs_difference": 4e-06, "rank_agreement": 1.0}
    folder = cached(models, bundle, "org/model", precision="fp16", parity=report)
    head, row, *rest = printed(capsys).splitlines()
    assert head.split() == ["name", "model", "precision", "size", "parity", "exported", "folder"]
    assert row.startswith(f"{folder.name}  org/model  fp16")
    assert "0.7 MB  4.0e-06, order 100.0%  20" in row
    assert row.endswith(str(folder))
    assert f"make serve MODEL={folder.name}" in rest[1]
    assert f"make models REMOVE={folder.name}" in rest[3]


def test_one_is_removed_by_its_name(models: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    folder, other = cached(models, bundle, "org/model"), cached(models, bundle, "org/other")
    assert printed(capsys, "--remove", "org/model").startswith(f"removed {folder}, ")
    assert [path.name for path in models.iterdir()] == [other.name]


def test_of_a_linked_one_the_link_is_removed(models: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = cached(models, bundle, "org/model").rename(tmp_path / "elsewhere")
    (models / "linked").symlink_to(elsewhere)
    printed(capsys, "--remove", "linked")
    assert list(models.iterdir()) == []
    assert (elsewhere / "reranker.json").is_file()


def test_an_unknown_or_ambiguous_name_removes_nothing(models: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    folders = {cached(models, bundle, "org/model", precision=precision) for precision in ("fp32", "fp16")}
    assert "no exported model is called org/modle (did you mean org/model?)" in refused(capsys, "--remove", "org/modle")
    assert "org/model is 2 exported models: give one of the names org--model-fp" in refused(capsys, "--remove", "org/model")
    assert "no exported model is called .." in refused(capsys, "--remove", "..")
    assert set(models.iterdir()) == folders


def test_a_served_one_is_not_removed(
    models: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cached(models, bundle, "org/model")
    monkeypatch.setattr(command, "serves", lambda asked: [8000] if asked == folder else [])
    assert refused(capsys, "--remove", "org/model").startswith(
        f"models: the server on port 8000 serves {folder.name}: stop it, or `make switch`"
    )
    assert folder.is_dir()
    assert "(served on 8000)" in printed(capsys)


def test_the_folder_of_a_bundle_is_printed_or_nothing(
    models: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    folder = cached(models, bundle, "checkpoint", checkpoint=checkpoint, precision="fp16")
    assert printed(capsys, "--find", str(checkpoint), "--precision", "auto") == f"{folder}\n"
    assert command.main(["--find", str(checkpoint), "--precision", "fp32"]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"{checkpoint} in fp32 is not in {models} yet: exporting it, once\n"
    assert "correct MODEL" in refused(capsys, "--find", "./nowhere")


def test_a_wrong_setting_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANKER_THREADS", "many")
    assert "RERANKER_THREADS=many" in refused(capsys)
