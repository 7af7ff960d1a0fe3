"""python -m pytest tests/unit/scripts/test_model_cache.py

Which bundle a model's name leads to.
"""

import os
import shutil
from pathlib import Path

import pytest

from facade.config.engine_settings import EngineSettings
from facade.errors import SettingsError
from facade.reranking.bundle import MANIFEST, Bundle
from scripts.model_cache import checkpoint_files, lookup
from scripts.model_cache.chosen import chosen_bundle
from scripts.model_cache.entries import RECORD, entries, models_folder
from scripts.model_cache.lookup import Wanted, find
from tests.unit.scripts.cached_models import cached, write_bundle, write_checkpoint


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "models"
    folder.mkdir(parents=True)
    return folder


def found(model: object, models: Path, **more: str) -> str | None:
    entry = find(Wanted(str(model), **more), models)
    return entry.name if entry else None


# names


def test_the_cache_is_where_the_variables_say(tmp_path: Path) -> None:
    assert models_folder(tmp_path, {"XDG_CACHE_HOME": "/caches"}) == tmp_path / "models"
    assert models_folder(None, {"XDG_CACHE_HOME": "/caches"}) == Path("/caches/triton-reranker/models")
    assert models_folder(None, {}) == Path("~/.cache/triton-reranker/models").expanduser()


def test_a_model_of_the_hub_is_found_by_its_id_its_name_for_clients_and_its_entry(models: Path, bundle: Bundle) -> None:
    folder = cached(models, bundle, "own/name", source={"model": "org/model", "revision": "abc"})
    assert {found(name, models) for name in ("org/model", "own/name", folder.name)} == {folder.name}
    assert found("org/other", models) is None


def test_of_several_exports_of_a_model_the_last_is_found(models: Path, bundle: Bundle) -> None:
    cached(models, bundle, "org/model", age_s=60, version="1.0.0")
    last = cached(models, bundle, "org/model", version="2.0.0")
    cached(models, bundle, "org/model", age_s=30, version="3.0.0")
    assert found("org/model", models) == last.name


def test_precision_and_name_select(models: Path, bundle: Bundle) -> None:
    half = cached(models, bundle, "org/model", age_s=60, precision="fp16")
    cached(models, bundle, "org/model", precision="fp32")
    assert found("org/model", models, precision="fp16") == half.name
    assert found("org/model", models, precision="bf16") is None
    assert found("org/model", models, name="own/name") is None


def test_the_folder_of_a_bundle_is_that_bundle(models: Path, bundle: Bundle, tmp_path: Path) -> None:
    assert found(write_bundle(tmp_path / "anywhere", bundle), models) == "anywhere"


def test_what_is_unfinished_or_damaged_is_no_entry(models: Path, bundle: Bundle) -> None:
    whole = cached(models, bundle, "org/model")
    shutil.copytree(whole, models / ".unfinished-1" / "bundle")
    shutil.copytree(whole, models / "damaged")
    (models / "damaged" / MANIFEST).write_text("{")
    (models / "empty").mkdir()
    assert [entry.folder for entry in entries(models)] == [whole]


@pytest.mark.parametrize("model", ["./model", "/nowhere/model", "modl", "a/b/c", "org/"])
def test_what_no_export_could_make_is_refused(model: str, models: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"is no folder, no model id of the hub \(organisation/model\) and no cached model: correct MODEL"
    ):
        find(Wanted(model), models)


def test_a_typo_is_answered_with_the_nearest_name(models: Path, bundle: Bundle) -> None:
    cached(models, bundle, "tiny-bert")
    with pytest.raises(SettingsError, match=r"\(did you mean tiny-bert\?\)"):
        find(Wanted("tiny-brt"), models)


def test_a_folder_that_is_neither_checkpoint_nor_bundle_is_refused(models: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"is no checkpoint \(config.json is missing\) and no bundle \(reranker.json is missing\)"):
        find(Wanted(str(tmp_path)), models)


# folders


def test_a_checkpoint_s_folder_is_found_until_its_content_changes(models: Path, bundle: Bundle, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    folder = cached(models, bundle, "checkpoint", checkpoint=checkpoint)
    assert found(checkpoint, models) == folder.name
    (checkpoint / "notes").write_text("other notes")
    assert found(checkpoint, models) == folder.name
    (checkpoint / "model.safetensors").write_bytes(b"w8ights")
    assert found(checkpoint, models) is None


def test_a_copy_of_the_folder_is_found_by_its_content_and_hashed_once(
    models: Path, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    folder = cached(models, bundle, "checkpoint", checkpoint=checkpoint)
    copied = tmp_path / "elsewhere"
    shutil.copytree(checkpoint, copied)
    os.utime(copied / "model.safetensors", (1, 1))
    assert found(copied, models) == folder.name
    monkeypatch.setattr(lookup, "files_of", lambda _: pytest.fail("it was hashed again"))
    assert found(copied, models) == folder.name


def test_a_folder_of_another_model_is_not_taken_for_a_cached_one_of_that_name(models: Path, bundle: Bundle, tmp_path: Path) -> None:
    cached(models, bundle, "checkpoint", checkpoint=write_checkpoint(tmp_path / "checkpoint"))
    assert found(write_checkpoint(tmp_path / "other" / "checkpoint", b"others"), models) is None


def test_an_entry_whose_record_is_damaged_is_found_by_its_names_alone(models: Path, bundle: Bundle, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "checkpoint")
    folder = cached(models, bundle, "checkpoint", checkpoint=checkpoint)
    (folder / RECORD).write_text('{"path": 1}')
    assert found("checkpoint", models) == folder.name
    assert found(checkpoint, models) is None


def test_what_an_export_reads_is_what_is_compared() -> None:
    origin = pytest.importorskip("scripts.export.origin")
    assert {Path(pattern).suffix for pattern in origin.WANTED} == set(checkpoint_files.READ)


# what a server serves


def test_without_a_name_the_repository_s_own_model_is_served(bundle: Bundle, tmp_path: Path) -> None:
    assert chosen_bundle(EngineSettings(home=tmp_path)) is None
    assert chosen_bundle(EngineSettings(home=tmp_path, model=bundle.model_id)) is None


def test_a_model_that_is_not_exported_is_refused_with_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^org/model is not among the exported models in .*: run `make serve MODEL=org/model`, or for an"
    ):
        chosen_bundle(EngineSettings(home=tmp_path, model="org/model"))


def test_an_exported_model_is_served_by_its_name(models: Path, bundle: Bundle) -> None:
    folder = cached(models, bundle, "org/model")
    assert chosen_bundle(EngineSettings(home=models.parent, model="org/model")) == folder
