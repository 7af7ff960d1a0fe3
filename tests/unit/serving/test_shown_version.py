"""python -m pytest tests/unit/serving/test_shown_version.py

Triton sees one version of the reranker, whatever else lies in its folder.
"""

import shutil
from pathlib import Path

import pytest

from facade.errors import BundleError
from scripts.serving.shown_version import link_files, show


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of three versions, of which one is a link, and two files."""
    model = tmp_path / "reranker"
    for number in ("1", "2"):
        (model / number).mkdir(parents=True)
        (model / number / "model.py").write_text(number)
    (model / "3").symlink_to("2")
    (model / "config.pbtxt").touch()
    (model / "engines").mkdir()
    return model


def seen(shown: Path) -> set[str]:
    return {path.name for path in shown.iterdir()}


def test_one_version_after_the_other_is_seen_beside_the_models_own_files(model: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    link_files(model, shown)
    assert seen(shown) == {"config.pbtxt", "engines"}
    for number, content in (("1", "1"), ("2", "2"), ("3", "2"), ("3", "2"), ("1", "1")):
        show(model / number, shown)
        assert seen(shown) == {"config.pbtxt", "engines", number}
        assert (shown / number / "model.py").read_text() == content
    assert {path.name for path in model.iterdir()} == {"1", "2", "3", "config.pbtxt", "engines"}


def test_a_version_without_code_gets_that_of_the_first_place_that_has_it(model: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    link_files(model, shown)
    (model / "2" / "model.py").unlink()
    show(model / "2", shown, [tmp_path / "model.py", model / "1" / "model.py"])
    assert (shown / "2" / "model.py").read_text() == "1"


def test_a_version_whose_code_is_nowhere_is_not_shown(model: Path, tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    link_files(model, shown)
    show(model / "1", shown)
    (model / "2" / "model.py").unlink()
    with pytest.raises(BundleError, match=r"2/model\.py is missing"):
        show(model / "2", shown)
    assert seen(shown) >= {"1"}


def test_the_code_stays_where_the_version_is_removed(model: Path, tmp_path: Path) -> None:
    """Triton's call to load a version without code does not return."""
    shown = tmp_path / "shown"
    link_files(model, shown)
    (model / "1" / "reranker.json").touch()
    show(model / "1", shown)
    shutil.rmtree(model / "1")
    assert (shown / "1" / "model.py").read_text() == "1"
    assert not (shown / "1" / "reranker.json").exists()


def test_a_version_of_a_relative_path_is_seen(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = tmp_path / "shown"
    link_files(Path("reranker"), shown)
    show(Path("reranker/1"), shown)
    assert (shown / "1" / "model.py").read_text() == "1"
