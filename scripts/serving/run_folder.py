"""The files of one run: a folder of links, and the files of Triton's Python backend in shared memory. Knows no server.

A run removes its own files at its end, and those of killed runs at its start. Without room for them the start fails with one line.
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
from scripts.serving import live_runs, stale_runs

LOG = logging.getLogger(__name__)

# Links, and Python's compiled code of the backend, which a full disk would truncate.
_FOLDER_BYTES = 1 << 20
_OTHER_PLACE = "make room there, or set TMPDIR to another folder"

Made = TypeVar("Made")


@dataclass(frozen=True)
class SharedMemory:
    """Where Triton's Python backend keeps its files, and the bytes that have to be free there."""

    folder: Path = Path("/dev/shm")  # noqa: S108 (fixed in Triton)
    # Two stubs begin with a megabyte each; 512 passages of 512 tokens take six, as text twelve.
    needed: int = 32 << 20


SHARED_MEMORY = SharedMemory()


@dataclass(frozen=True)
class RunFolder:
    """The folder `path`, and the descriptor of the lock that marks the run as alive.

    A child that inherits `lock` keeps the folder from being removed as stale, even if the child outlives the supervisor.
    """

    path: Path
    lock: int
    shared: SharedMemory

    @property
    def prefix(self) -> str:
        """The first part of the names of the run's files in shared memory."""
        return self.path.name

    def fill(self, make: Callable[[], Made]) -> Made:
        """Call `make`, which writes into the folder; returns its result. Raises SettingsError if there is no room."""
        try:
            return make()
        except OSError as error:
            raise _unusable(self.path.parent, error, _OTHER_PLACE) from None

    def clear_shared_memory(self) -> None:
        """Remove the files that a killed server left in shared memory."""
        stale_runs.remove_shared(self.prefix, self.shared.folder)


@contextmanager
def run_folder(shared: SharedMemory = SHARED_MEMORY) -> Iterator[RunFolder]:
    """A new folder while the block runs. Raises SettingsError if the disk or the shared memory has no room for a run."""
    # tempfile alone would fall back to other folders if this one is full, and finally to the working directory.
    place = live_runs.place()
    for stale in stale_runs.remove_stale(place, shared.folder):
        LOG.info("removed %s, which a killed run left", stale)
    _require_room(shared.folder, shared.needed, "remove files there that no program uses, or make it larger (docker run --shm-size)")
    _require_room(place, _FOLDER_BYTES, _OTHER_PLACE)
    path, lock = _locked_folder(place)
    try:
        yield RunFolder(path, lock, shared)
    finally:
        stale_runs.remove(path, shared.folder)
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
