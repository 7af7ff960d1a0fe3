"""Add a bundle to the cache: export under a hidden name, then rename; one export of a model at a time. Knows files.

The kernel holds the lock, so a killed process releases it.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from facade.errors import SettingsError
from scripts.model_cache.checkpoint_files import CheckpointFiles
from scripts.model_cache.entries import Entry, entries, entry_name, entry_of, record, remove

_LOCKS = ".locks"
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class Place:
    """Where an export writes its bundle, before it is in the cache. `waited`: another process exported the same model meanwhile."""

    models: Path
    bundle: Path
    waited: bool

    def keep(self, checkpoint: CheckpointFiles | None, in_use: Callable[[Path], object]) -> Entry:
        """Move the bundle into the cache, in place of an earlier export of the same that is not `in_use`. Raises OSError."""
        if checkpoint:
            record(self.bundle, checkpoint)
        folder = self.models / entry_name(entry_of(self.bundle).bundle)
        if folder.exists():  # the same to the byte
            shutil.rmtree(self.bundle)
        else:
            self.bundle.rename(folder)
        kept = entry_of(folder)
        for former in entries(self.models):
            if former.key == kept.key and former.folder != folder and not in_use(former.folder):
                with suppress(OSError):
                    remove(former)
        return kept


@contextmanager
def exporting(models: Path, model: str, *parts: str | None) -> Iterator[Place]:
    """The place for an export of `model`, whose other options are `parts`. Waits while another process exports the same.

    What the block leaves there is removed, and so is what a killed process left. Raises SettingsError where the cache can't be written.
    """
    key = hashlib.sha256("\n".join([model, *map(str, parts)]).encode()).hexdigest()[:16]
    unfinished = models / f"{_UNFINISHED}{key}"
    try:
        (models / _LOCKS).mkdir(parents=True, exist_ok=True)
        lock = os.open(models / _LOCKS / key, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unwritable(models, error) from None
    try:
        waited = _lock(lock, model)
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            unfinished.mkdir()
        except OSError as error:
            raise _unwritable(models, error) from None
        yield Place(models, unfinished / "bundle", waited)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        os.close(lock)


def _lock(lock: int, model: str) -> bool:
    """Lock for this process; whether it had to wait."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        print(f"waiting for process {other}, which is exporting {model} (Ctrl-C to give up)", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)
        waited = True
    else:
        waited = False
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return waited


def _unwritable(models: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{models} can't be written ({error.strerror}): let this user write there, or set RERANKER_HOME to another folder")
