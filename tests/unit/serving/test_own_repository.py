"""python -m pytest tests/unit/serving/test_own_repository.py

A run's own model repository, and how another command finds the run and adds a version. The same with a real Triton:
tests/triton/test_switch.py.
"""

from pathlib import Path

import pytest

from facade.config.settings import REPOSITORY, Settings
from facade.errors import SettingsError
from facade.reranking.bundle import Bundle, newest_version
from scripts import switch_model
from scripts.serving.live_runs import run_on, serves
from scripts.serving.own_repository import add_version, bundles_of, noting, outcome, own_repository
from tests.unit.conftest import MakeBundle
from tests.unit.serving.conftest import Places

PORT = 18299


@pytest.fixture
def other(make_bundle: MakeBundle) -> Path:
    return make_bundle(version="7.0.0")


def test_it_has_the_models_of_the_other_repository_and_one_version(bundle: Bundle, other: Path, tmp_path: Path) -> None:
    repository = own_repository(REPOSITORY, other, tmp_path, PORT)
    assert {path.name for path in repository.iterdir()} == {"reranker", "rerank_text"}
    assert (repository / "reranker" / "config.pbtxt").samefile(REPOSITORY / "reranker" / "config.pbtxt")
    assert newest_version(repository / "reranker").samefile(other)
    assert (repository / "rerank_text" / "1" / "model.py").samefile(REPOSITORY / "rerank_text" / "1" / "model.py")
    assert (repository / "rerank_text").resolve().parent == repository.resolve()
    assert newest_version(REPOSITORY / "reranker") == bundle.folder


def test_a_folder_that_is_no_repository_is_refused(other: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has no models reranker and rerank_text: point RERANKER_MODEL_REPOSITORY"):
        own_repository(tmp_path / "nothing", other, tmp_path, PORT)


def test_a_further_version_is_the_newest(bundle: Bundle, other: Path, tmp_path: Path) -> None:
    repository = own_repository(REPOSITORY, other, tmp_path, PORT)
    assert add_version(repository, bundle.folder).name == "2"
    assert bundles_of(repository) == [bundle.folder.resolve(), other.resolve()]


def test_a_number_is_used_once_so_that_an_outcome_is_of_one_bundle(bundle: Bundle, other: Path, tmp_path: Path) -> None:
    repository = own_repository(REPOSITORY, other, tmp_path, PORT)
    refused = add_version(repository, bundle.folder)
    noting(tmp_path)(refused, "no memory")
    refused.unlink()
    assert outcome(tmp_path, add_version(repository, bundle.folder)) is None


def test_a_run_is_found_by_its_port_and_by_its_bundles_while_it_lives(bundle: Bundle, other: Path, places: Places) -> None:
    with places.run() as run, places.run():
        own_repository(REPOSITORY, other, run.path, PORT)
        assert run_on(PORT) == run.path
        assert run_on(PORT + 1) is None
        assert serves(other) == [PORT]
        assert serves(bundle.folder) == []
    assert run_on(PORT) is None
    assert serves(other) == []


def test_a_folder_that_is_not_this_user_s_own_is_no_run(other: Path, places: Places, tmp_path: Path) -> None:
    with places.run() as run:
        own_repository(REPOSITORY, other, run.path, PORT)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / run.path.name).symlink_to(run.path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", str(elsewhere))
            assert run_on(PORT) is None
        assert run_on(PORT) == run.path


def test_what_becomes_of_a_version_is_recorded(other: Path, tmp_path: Path) -> None:
    own_repository(REPOSITORY, other, tmp_path, PORT)
    assert outcome(tmp_path, Path("2")) is None
    noting(tmp_path)(Path("2"), "no memory")
    assert outcome(tmp_path, Path("2")) == "no memory"
    noting(tmp_path)(Path("2"), None)
    assert outcome(tmp_path, Path("2")) == ""


# make switch


def test_without_a_server_a_switch_says_how_to_start_one(bundle: Bundle, places: Places) -> None:
    del places
    with pytest.raises(
        SettingsError, match=f"no server of this user on port {PORT} was started with MODEL: start it by `make serve MODEL="
    ):
        switch_model.switch(Settings(http_port=PORT), bundle.folder)


def test_a_switch_to_the_served_model_changes_nothing(other: Path, places: Places) -> None:
    with places.run() as run:
        repository = own_repository(REPOSITORY, other, run.path, PORT)
        assert "already" in switch_model.switch(Settings(http_port=PORT), other)
        assert bundles_of(repository) == [other.resolve()]


def test_a_switch_ends_with_the_new_version_alone(bundle: Bundle, other: Path, places: Places) -> None:
    with places.run() as run:
        repository = own_repository(REPOSITORY, other, run.path, PORT)
        noting(run.path)(Path("2"), None)
        answer = switch_model.switch(Settings(http_port=PORT), bundle.folder)
        assert answer == f"the server on port {PORT} serves {bundle.model_id}, bundle {bundle.digest:.12}"
        assert bundles_of(repository) == [bundle.folder.resolve()]


def test_a_version_that_the_server_leaves_out_is_taken_back_with_its_reason(bundle: Bundle, other: Path, places: Places) -> None:
    with places.run() as run:
        repository = own_repository(REPOSITORY, other, run.path, PORT)
        noting(run.path)(Path("2"), "no memory")
        with pytest.raises(SettingsError, match=f"keeps its model, it can't serve {bundle.model_id}: no memory"):
            switch_model.switch(Settings(http_port=PORT), bundle.folder)
        assert bundles_of(repository) == [other.resolve()]


def test_a_switch_that_takes_too_long_is_taken_back(bundle: Bundle, other: Path, places: Places) -> None:
    with places.run() as run:
        repository = own_repository(REPOSITORY, other, run.path, PORT)
        with pytest.raises(SettingsError, match="it has not loaded it within 0 s; its log says more"):
            switch_model.switch(Settings(http_port=PORT), bundle.folder, limit_s=0.01)
        assert bundles_of(repository) == [other.resolve()]
