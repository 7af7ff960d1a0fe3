"""Removes the files of killed runs at the next start. Knows the files of a run, not their purpose.

A run holds a lock on a file in its folder, as does each process that inherits the descriptor. The kernel releases the lock with the last of
these processes, even after SIGKILL, so a lock that can be taken proves that no process of the run is left.
"""

import fcntl
import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path

PREFIX = "triton-reranker-"
# The names that tempfile.mkdtemp makes from the prefix.
_NAME = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")
# Also marks the folder of a run: a folder without it may belong to another program, and is kept.
LOCK = "run.lock"


def lock(folder: Path) -> int | None:
    """Lock a new folder, which keeps it while a process has the returned descriptor open.

    Returns None if another start removed the folder as stale before. Raises OSError if the lock cannot be made, and removes the folder.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    if (folder / LOCK).exists():
        return descriptor
    os.close(descriptor)
    return None


def remove(folder: Path, shared_memory: Path) -> None:
    """Remove a run's folder, and its files in shared memory. The lock is removed last, so that an interrupted removal can be repeated."""
    remove_shared(folder.name, shared_memory)
    with suppress(OSError):
        for entry in folder.iterdir():
            if entry.name != LOCK:
                shutil.rmtree(entry, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def remove_shared(prefix: str, shared_memory: Path) -> None:
    """Remove the files in shared memory whose names begin with `prefix`."""
    for file in shared_memory.glob(f"{prefix}*"):
        with suppress(OSError):
            file.unlink()


def remove_stale(place: Path, shared_memory: Path) -> list[Path]:
    """Remove the files of this user's runs that have no process left, in `place` and in shared memory; returns the folders."""
    named = [folder for folder in place.glob(f"{PREFIX}*") if _NAME.fullmatch(folder.name)]
    return [folder for folder in named if is_own(folder) and _remove_if_stale(folder, shared_memory)]


def is_own(folder: Path) -> bool:
    """Whether it is a folder of this user, and no link."""
    try:
        state = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()


def _remove_if_stale(folder: Path, shared_memory: Path) -> bool:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(folder, shared_memory)
        return not folder.exists()
    except OSError:  # the lock is taken: the run lives
        return False
    finally:
        os.close(descriptor)
