"""python -m pytest tests/unit/facade/reranking/test_real_files.py

Files of a folder that are links elsewhere can be loaded as if they lay there.
"""

import errno
import os
import shutil
from pathlib import Path

import pytest

from facade.errors import BundleError
from facade.reranking.real_files import real_files

NAMES = ("graph", "weights")


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    """Two files, named after their content as in a hub's cache."""
    folder = tmp_path / "blobs"
    folder.mkdir()
    for name in NAMES:
        (folder / f"hash of {name}").write_text(f"content of {name}")
    return folder


@pytest.fixture
def linked(blobs: Path, tmp_path: Path) -> Path:
    """A folder of relative links to them."""
    folder = tmp_path / "snapshots" / "commit"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).symlink_to(Path("../../blobs") / f"hash of {name}")
    return folder


def assert_loadable(folder: Path) -> None:
    for name in NAMES:
        assert not (folder / name).is_symlink()
        assert (folder / name).read_text() == f"content of {name}"


def test_links_to_other_names_are_brought_together_and_leave_nothing(linked: Path, blobs: Path) -> None:
    with real_files(linked, NAMES) as folder:
        assert_loadable(folder)
    assert not folder.exists()
    assert len(list(blobs.iterdir())) == len(NAMES)


def test_files_on_another_disk_are_copied(linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_disk(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", other_disk)
    with real_files(linked, NAMES) as folder:
        assert_loadable(folder)


def test_without_room_for_copies_the_message_says_what_to_do(linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(BundleError, match=r"No space left on device.*TMPDIR"), real_files(linked, NAMES):
        pass


def test_files_that_are_no_links_stay_where_they_are(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).touch()
    with real_files(tmp_path, NAMES) as folder:
        assert folder == tmp_path.resolve()


def test_links_into_one_folder_that_keep_the_names_need_no_copies(tmp_path: Path) -> None:
    volume, mounted = tmp_path / "volume", tmp_path / "mounted"
    volume.mkdir()
    mounted.mkdir()
    for name in NAMES:
        (volume / name).touch()
        (mounted / name).symlink_to(volume / name)
    with real_files(mounted, NAMES) as folder:
        assert folder == volume.resolve()


def test_a_file_alone_is_left_as_it_is(linked: Path) -> None:
    with real_files(linked, NAMES[:1]) as folder:
        assert folder == linked
