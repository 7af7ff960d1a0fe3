"""python -m pytest tests/unit/serving/test_run_folder.py

A run leaves nothing behind, and without room for it the error is one line. tests/hardening/test_faults.py fills real disks.
"""

import os

import pytest

from facade.errors import SettingsError
from tests.unit.serving.conftest import Places


def test_a_run_has_a_folder_of_its_own_and_leaves_nothing_behind(places: Places) -> None:
    disk, shared = places
    (shared / "another").touch()
    with places.run() as folder, places.run() as other:
        assert folder.path.parent == disk
        assert folder.prefix != other.prefix
        (folder.path / "link").symlink_to("nowhere")
        (shared / f"{folder.prefix}-region").touch()
    assert list(disk.iterdir()) == []
    assert [path.name for path in shared.iterdir()] == ["another"]


def test_what_a_killed_server_left_in_shared_memory_can_be_removed_and_no_others(places: Places) -> None:
    _, shared = places
    with places.run() as folder:
        (shared / f"{folder.prefix}-region").touch()
        (shared / "another").touch()
        folder.clear_shared_memory()
        assert [path.name for path in shared.iterdir()] == ["another"]


def test_a_folder_that_is_not_there_is_reported_with_the_variable(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(places[0] / "gone"))
    with pytest.raises(SettingsError, match=r"gone can't be used \(No such file or directory\).*TMPDIR"), places.run():
        pass


def test_a_folder_that_takes_nothing_is_reported(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    file = places[0] / "file"
    file.touch()
    monkeypatch.setenv("TMPDIR", str(file))
    with pytest.raises(SettingsError, match=r"file can't be used \(Not a directory\).*TMPDIR"), places.run():
        pass


def test_a_disk_that_fills_up_while_the_folder_is_filled_is_reported(places: Places) -> None:
    def make() -> None:
        raise OSError(28, os.strerror(28))

    with places.run() as folder, pytest.raises(SettingsError, match="No space left on device"):
        folder.fill(make)
    assert list(places[0].iterdir()) == []


def test_what_is_made_is_handed_on(places: Places) -> None:
    with places.run() as folder:
        assert folder.fill(lambda: 7) == 7


def test_too_little_shared_memory_is_reported(places: Places) -> None:
    with pytest.raises(SettingsError, match=r"MiB free, \d+ are needed: .*--shm-size"), places.run(needed=1 << 60):
        pass


def test_missing_shared_memory_is_reported(places: Places) -> None:
    places[1].rmdir()
    with pytest.raises(SettingsError, match=r"shm can't be used \(No such file or directory\)"), places.run():
        pass
