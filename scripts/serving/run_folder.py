"""What one run keeps on this machine: a folder of links, and the files that Triton's Python backend has in shared memory. Knows no server.

Nothing of either is left behind: a run removes its own, and what a killed run left. Without room for them the start fails with one line.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from facade.errors import SettingsError
from scripts.serving import stale_runs

LOG = logging.getLogger(__name__)

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (where Triton's Python backend keeps its files)
# Two stubs begin with a megabyte each; 512 passages at 512 tokens take six, twice where they come as text.
_SHARED_MEMORY_BYTES = 32 << 20
# Links, and what Python keeps of the backend's code beside them, which it leaves cut off on a full disk.
_FOLDER_BYTES = 1 << 20
_OTHER_PLACE = "make room there, or set TMPDIR to another folder"

Made = TypeVar("Made")


@dataclass(frozen=True)
class RunFolder:
    """The folder, how the names of the run's files in shared memory begin, and the descriptor that shows that the run lives.

    A child that inherits `lock` keeps the folder from being removed as a stale one, even where it outlives the supervisor.
    """

    path: Path
    lock: int

    @property
    def prefix(self) -> str:
        """Of the files in shared memory."""
        return self.path.name

    def fill(self, make: Callable[[], Made]) -> Made:
        """What `make` puts into the folder. Raises SettingsError where that has no room."""
        try:
            return make()
        except OSError as error:
            raise _unusable(self.path.parent, error, _OTHER_PLACE) from None

    def clear_shared_memory(self) -> None:
        """Remove what a server left that was killed."""
        stale_runs.remove_shared(self.prefix, _SHARED_MEMORY)


@contextmanager
def run_folder() -> Iterator[RunFolder]:
    """A folder of this run's own while the block runs. Raises SettingsError where the disk or the shared memory has no room for a run."""
    # Named, since tempfile would go on to other places, the working directory at last, where this one is full.
    place = Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 (what mkdtemp makes there is this user's alone)
    for stale in stale_runs.remove_stale(place, _SHARED_MEMORY):
        LOG.info("removed %s, which a killed run left", stale)
    _require_room(
        _SHARED_MEMORY, _SHARED_MEMORY_BYTES, "remove files there that no program uses, or make it larger (docker run --shm-size)"
    )
    _require_room(place, _FOLDER_BYTES, _OTHER_PLACE)
    path, lock = _locked_folder(place)
    try:
        yield RunFolder(path, lock)
    finally:
        stale_runs.remove(path, _SHARED_MEMORY)
        os.close(lock)


def _locked_folder(place: Path) -> tuple[Path, int]:
    """A new folder, and the descriptor of its lock."""
    while True:
        try:
            path = Path(tempfile.mkdtemp(prefix=stale_runs.PREFIX, dir=place))
            lock = stale_runs.lock(path)
        except OSError as error:
            raise _unusable(place, error, _OTHER_PLACE) from None
        if lock is not None:
            return path, lock


def _require_room(place: Path, needed: int, remedy: str) -> None:
    try:
        state = os.statvfs(place)
    except OSError as error:
        raise _unusable(place, error, remedy) from None
    free = state.f_bavail * state.f_frsize
    if free < needed:
        raise SettingsError(f"{place} has {free >> 20} MiB free, {needed >> 20} are needed: {remedy}")


def _unusable(place: Path, error: OSError, remedy: str) -> SettingsError:
    return SettingsError(f"{place} can't be used ({error.strerror}): {remedy}")
