"""python -m pytest tests/unit/serving/test_versions.py

Which version Triton is started with, which takes over, and which are left out, as the files on the disk change.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from facade.errors import BundleError
from facade.reranking.bundle import MANIFEST, WEIGHTS
from scripts.serving.versions import Version, Versions
from tests.unit.conftest import MakeBundle

Put = Callable[[str], Path]


@pytest.fixture
def put(make_bundle: MakeBundle, tmp_path: Path) -> Put:
    """Puts a bundle of a digest of its own into the folder of that number."""

    def make(number: str) -> Path:
        aside = make_bundle(version=f"{number}.0.0")
        folder = tmp_path / "reranker" / number
        folder.parent.mkdir(exist_ok=True)
        return Path(shutil.copytree(aside, folder, dirs_exist_ok=True))

    return make


@pytest.fixture
def versions(put: Put) -> Versions:
    """Of a Triton that serves version 1."""
    found = Versions(put("1").parent, None)
    assert found.start().folder.name == "1"
    found.works()
    return found


def newer(versions: Versions) -> Version | None:
    """What takes over once the files are seen unchanged twice."""
    versions.newer()
    return versions.newer()


def name(version: Version | None) -> str | None:
    return version.folder.name if version else None


def change(file: Path) -> None:
    """Another time of change, whatever the clock's grain."""
    os.utime(file, (0, 0))


# what takes over


def test_a_newer_version_takes_over_once_it_no_longer_changes(versions: Versions, put: Put) -> None:
    assert newer(versions) is None
    folder = put("2")
    assert versions.newer() is None
    change(folder / WEIGHTS)
    assert versions.newer() is None
    found = versions.newer()
    assert found
    assert (name(found), found.bundle.version) == ("2", "2.0.0")
    versions.works(found)
    assert newer(versions) is None


def test_a_bad_version_is_logged_once_and_tried_again_when_its_files_change(
    versions: Versions, put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    folder = put("2")
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:3])
    for _ in range(4):
        assert newer(versions) is None
    (line,) = caplog.messages
    assert "version 2 is left out until its files change, still serving bundle" in line
    assert "is not the file that" in line
    (folder / WEIGHTS).write_bytes(whole)
    assert name(newer(versions)) == "2"


def test_a_version_that_triton_can_not_load_is_not_tried_again_before_its_files_change(
    versions: Versions, put: Put, caplog: pytest.LogCaptureFixture
) -> None:
    folder = put("2")
    found = newer(versions)
    assert found
    versions.refuse(found, "no engine reads it")
    assert f"no engine reads it; repair or remove {folder}" in caplog.text
    assert newer(versions) is None
    change(folder / WEIGHTS)
    assert name(newer(versions)) == "2"


def test_an_older_version_takes_over_only_where_the_served_one_was_taken_away(versions: Versions, put: Put) -> None:
    folder = put("2")
    found = newer(versions)
    versions.works(found)
    (folder / MANIFEST).write_text("damaged while it is served")
    assert newer(versions) is None
    shutil.rmtree(folder)
    assert name(newer(versions)) == "1"


def test_a_link_that_is_turned_to_another_bundle_is_a_new_version(versions: Versions, put: Put, tmp_path: Path) -> None:
    put("2").rename(tmp_path / "two")
    link = tmp_path / "reranker" / "5"
    link.symlink_to(tmp_path / "two")
    found = newer(versions)
    assert found
    assert (name(found), found.bundle.version) == ("5", "2.0.0")
    versions.works(found)
    put("3").rename(tmp_path / "three")
    link.unlink()
    link.symlink_to(tmp_path / "three")
    found = newer(versions)
    assert found
    assert (name(found), found.bundle.version) == ("5", "3.0.0")
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    assert name(newer(versions)) == "1"


def test_compiled_code_in_a_versions_folder_is_no_change(versions: Versions, put: Put) -> None:
    folder = put("2")
    versions.newer()
    (folder / "__pycache__").mkdir()
    assert name(versions.newer()) == "2"


def test_nothing_takes_over_while_triton_starts(versions: Versions, put: Put) -> None:
    put("2")
    versions.start()
    assert newer(versions) is None
    versions.works()
    assert name(newer(versions)) == "2"


# what Triton is started with


def test_the_newest_version_that_can_be_used_is_started(put: Put, caplog: pytest.LogCaptureFixture) -> None:
    put("1")
    put("2")
    (put("10") / WEIGHTS).write_bytes(b"damaged")
    found = Versions(put("1").parent, None)
    assert name(found.start()) == "2"
    assert ["version 10 is left out" in line for line in caplog.messages] == [True]


def test_where_no_version_can_be_used_the_newest_ones_fault_is_raised(put: Put, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="RERANKER_MODEL_REPOSITORY"):
        Versions(tmp_path / "reranker", None).first()
    (put("1") / MANIFEST).write_text("{}")
    (put("2") / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(BundleError, match="is not the file that"):
        Versions(tmp_path / "reranker", None).first()


def test_a_version_that_triton_does_not_start_with_makes_room_for_the_next(put: Put) -> None:
    put("1")
    put("2")
    found = Versions(put("3").parent, None)
    assert name(found.start()) == "3"
    found.failed("no engine reads it")
    assert found.another()
    assert name(found.start()) == "2"
    assert found.another()  # a start that never came to an end has failed, too
    assert name(found.start()) == "1"
    found.failed()
    assert not found.another()
    found.works(found.first())
    assert newer(found) is None  # what failed is not loaded beside it


def test_a_restart_begins_with_the_served_version_and_tries_it_twice_before_another(versions: Versions, put: Put) -> None:
    put("2")
    assert [name(versions.start()) for _ in range(3)] == ["1", "1", "2"]


def test_a_restart_leaves_out_the_served_version_where_it_was_damaged_meanwhile(versions: Versions, put: Put) -> None:
    folder = put("2")
    versions.works(newer(versions))
    (folder / WEIGHTS).write_bytes(b"damaged")
    assert name(versions.start()) == "1"


def test_what_failed_to_start_though_it_had_worked_is_tried_again_beside_the_older_one(versions: Versions, put: Put) -> None:
    put("2")
    versions.works(newer(versions))
    assert [name(versions.start()) for _ in range(3)] == ["2", "2", "1"]
    versions.works()
    assert name(newer(versions)) == "2"


# what is noted


def test_each_version_that_is_served_or_left_out_is_noted_with_the_reason(put: Put) -> None:
    noted: list[tuple[str, str | None]] = []
    versions = Versions(put("1").parent, None, lambda folder, fault: noted.append((folder.name, fault)))
    versions.start()
    versions.works()
    second = put("2")
    found = newer(versions)
    assert found
    versions.refuse(found, "no memory")
    assert noted == [("1", None), ("2", f"no memory; repair or remove {second}")]
