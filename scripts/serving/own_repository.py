"""A model repository of a run's own: links to the models of another one, and one bundle as the reranker's version.

So a cached bundle is served without a change to the folder that the code is in. Triton, `rerank_text` and the facade read it as any other
repository; a further version in it takes over while requests run. Knows folders, not what is in a bundle.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from facade.errors import SettingsError
from facade.reranking.bundle import versions
from facade.reranking.tensors import MODEL
from scripts.serving.shown_version import link_files
from scripts.serving.tritonserver import TEXT_MODEL

_FOLDER = "repository"
_PORT = "http-port"
_OUTCOMES = "outcomes"
_NUMBERS = "numbers"  # of versions, used ones included


def own_repository(source: Path, bundle: Path, run: Path, http_port: int) -> Path:
    """Make it in the folder `run`: code and configurations from the repository `source`, version 1 from the folder `bundle`.

    `http_port`: what the run is found by. Raises OSError, and SettingsError where `source` is no whole repository.
    """
    repository = run / _FOLDER
    repository.mkdir()
    if not (source / TEXT_MODEL).is_dir() or not (source / MODEL).is_dir():
        raise SettingsError(f"{source} has no models {MODEL} and {TEXT_MODEL}: point RERANKER_MODEL_REPOSITORY to a whole model repository")
    link_files(source.resolve() / MODEL, repository / MODEL)
    # A folder and no link: the text model looks for the reranker beside its own folder.
    (repository / TEXT_MODEL).mkdir()
    for path in (source.resolve() / TEXT_MODEL).iterdir():
        (repository / TEXT_MODEL / path.name).symlink_to(path)
    add_version(repository, bundle)
    (run / _OUTCOMES).mkdir()
    (run / _PORT).write_text(str(http_port), encoding="utf-8")
    return repository


def repository_of(run: Path) -> Path | None:
    """The repository of a run; None where it serves another one."""
    repository = run / _FOLDER
    return repository if repository.is_dir() else None


def http_port_of(run: Path) -> int | None:
    """The port of a run's HTTP API; None where the run has no repository of its own, or is about to end."""
    try:
        return int((run / _PORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def add_version(repository: Path, bundle: Path) -> Path:
    """Add the folder `bundle` as the newest version, which a running server takes over; return the link.

    A version number is never reused, so its recorded outcome is this bundle's.
    """
    used = repository.parent / _NUMBERS
    used.mkdir(exist_ok=True)
    number = max((int(path.name) for path in (*versions(repository / MODEL), *used.iterdir())), default=0)
    while True:
        number += 1
        link = repository / MODEL / str(number)
        with suppress(FileExistsError):  # another process has added one meanwhile
            (used / link.name).touch(exist_ok=False)
            link.symlink_to(bundle.absolute())
            return link


def bundles_of(repository: Path) -> list[Path]:
    """The folders that its versions link to, the newest first."""
    return [version.resolve() for version in versions(repository / MODEL)]


def noting(run: Path) -> Callable[[Path, str | None], None]:
    """A callback that records a version's outcome in the run's folder: served (None), or the reason it is left out."""

    def note(version: Path, fault: str | None) -> None:
        with suppress(OSError):
            fresh = run / _OUTCOMES / f".{version.name}"
            fresh.write_text(fault or "", encoding="utf-8")
            fresh.replace(run / _OUTCOMES / version.name)

    return note


def outcome(run: Path, version: Path) -> str | None:
    """The recorded outcome of a version: empty where Triton serves it, else why it does not; None before there is one."""
    try:
        return (run / _OUTCOMES / version.name).read_text(encoding="utf-8")
    except OSError:
        return None
