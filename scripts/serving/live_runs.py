"""Live `make serve` runs of this user, and the bundles that they serve. Knows folders and locks, no processes."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from scripts.serving.own_repository import bundles_of, http_port_of, repository_of
from scripts.serving.stale_runs import LOCK, PREFIX, is_own


def place() -> Path:
    """The folder that holds the folders of all runs."""
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 (only this user can read what mkdtemp makes)


def live_runs() -> Iterator[Path]:
    """The folders of the runs that have a process."""
    for folder in place().glob(f"{PREFIX}*"):
        if is_own(folder) and _is_locked(folder / LOCK):
            yield folder


def run_on(http_port: int) -> Path | None:
    """The run whose HTTP API has this port, if it has a repository of its own."""
    return next((run for run in live_runs() if http_port_of(run) == http_port), None)


def serves(bundle: Path) -> list[int]:
    """The HTTP ports of the runs that have the bundle in this folder among their versions."""
    folder = bundle.resolve()
    runs = [(http_port_of(run), repository_of(run)) for run in live_runs()]
    return [port for port, repository in runs if port and repository and folder in bundles_of(repository)]


def _is_locked(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
