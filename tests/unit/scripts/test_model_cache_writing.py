"""python -m pytest tests/unit/scripts/test_model_cache_writing.py

How a new bundle gets into the cache: whole, and one export of a model at a time.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facade.errors import SettingsError
from facade.reranking.bundle import Bundle
from scripts.model_cache.entries import entries
from scripts.model_cache.writing import Place, exporting
from tests.unit.scripts.cached_models import cached, write_bundle
from tests.unit.waiting import wait_until


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    return folder


def kept(place: Place, bundle: Bundle, in_use: tuple[Path, ...] = (), **entries: object) -> Path:
    write_bundle(place.bundle, bundle, **{"model_id": "org/model", "source": {"model": "org/model", "revision": "abc"}, **entries})
    return place.keep(None, lambda folder: folder in in_use).folder


def test_a_bundle_is_there_once_it_is_whole(models: Path, bundle: Bundle) -> None:
    with exporting(models, "org/model") as place:
        folder = kept(place, bundle)
    assert [entry.folder for entry in entries(models)] == [folder]
    assert [path.name for path in models.iterdir() if path.name != ".locks"] == [folder.name]


def interrupted(models: Path) -> None:
    with exporting(models, "org/model") as place:
        place.bundle.mkdir()
        raise KeyboardInterrupt


def test_an_interrupted_export_leaves_nothing(models: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(models)
    assert [path.name for path in models.iterdir()] == [".locks"]


def test_what_a_killed_export_left_is_removed_by_the_next(models: Path, bundle: Bundle) -> None:
    with exporting(models, "org/model") as place:
        left = place.bundle / "model.onnx"
    left.parent.mkdir(parents=True)
    left.touch()
    with exporting(models, "org/model") as place:
        assert not place.bundle.exists()
        kept(place, bundle)


def test_an_export_replaces_an_earlier_one_of_the_same(models: Path, bundle: Bundle) -> None:
    cached(models, bundle, "org/model", created="2026-01-01")
    others = [
        cached(models, bundle, "org/model", precision="fp16"),
        cached(models, bundle, "own/name", source={"model": "org/model", "revision": "abc"}),
        cached(models, bundle, "org/model", source={"model": "org/model", "revision": "def"}),
    ]
    with exporting(models, "org/model") as place:
        folder = kept(place, bundle, created="2026-02-02")
    assert {entry.folder for entry in entries(models)} == {folder, *others}


def test_an_earlier_export_that_is_served_stays(models: Path, bundle: Bundle) -> None:
    served = cached(models, bundle, "org/model", created="2026-01-01")
    with exporting(models, "org/model") as place:
        folder = kept(place, bundle, (served,), created="2026-02-02")
    assert {entry.folder for entry in entries(models)} == {folder, served}


def test_the_same_export_to_the_byte_is_kept_once(models: Path, bundle: Bundle) -> None:
    for _ in range(2):
        with exporting(models, "org/model") as place:
            folder = kept(place, bundle)
    assert [entry.folder for entry in entries(models)] == [folder]


@contextmanager
def second_export(models: Path, *parts: str) -> Iterator[list[bool]]:
    """Exports the model in another thread; whether it waited, once it has its place."""
    places: list[bool] = []

    def export() -> None:
        with exporting(models, "org/model", *parts) as place:
            places.append(place.waited)

    thread = threading.Thread(target=export)
    thread.start()
    yield places
    thread.join()


def test_a_second_export_of_the_same_waits_for_the_first(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    messages = ""

    def waiting() -> bool:
        nonlocal messages
        messages += capsys.readouterr().out
        return "waiting" in messages

    with exporting(models, "org/model"):
        second = second_export(models)
        places = second.__enter__()
        wait_until(waiting)
        assert places == []
    second.__exit__(None, None, None)
    assert places == [True]
    assert f"waiting for process {os.getpid()}, which is exporting org/model (Ctrl-C to give up)" in messages


def test_exports_of_different_models_wait_for_nothing(models: Path) -> None:
    with exporting(models, "org/model", "fp16"), second_export(models, "fp32") as places:
        pass
    assert places == [False]


def test_a_cache_that_can_t_be_written_is_named_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(SettingsError, match=r"file/models can't be written \(Not a directory\): .* set RERANKER_HOME to another folder"),
        exporting(tmp_path / "file" / "models", "org/model"),
    ):
        pass
