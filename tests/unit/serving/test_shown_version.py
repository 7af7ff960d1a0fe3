"""python -m pytest tests/unit/serving/test_shown_version.py

Triton sees one version of the reranker, whatever else lies in its folder.
"""

from pathlib import Path

import pytest

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


def test_a_version_of_a_relative_path_is_seen(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = tmp_path / "shown"
    link_files(Path("reranker"), shown)
    show(Path("reranker/1"), shown)
    assert (shown / "1" / "model.py").read_text() == "1"
