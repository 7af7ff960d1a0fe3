"""The reranker's versions on disk: which one Triton is started with, which one replaces it, and which are left out.

A version is checked without an engine: manifest, digests, limit, tokenizer. A version whose graph Triton cannot load is left out until its
files change. Knows files, neither Triton nor processes.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facade.errors import BundleError
from facade.reranking.active_bundle import read_version
from facade.reranking.bundle import INT8_GRAPH, WEIGHTS, Bundle, no_bundle, read_bundle, versions
from facade.reranking.pairs import PairTokenizer

LOG = logging.getLogger(__name__)

# Failed starts of the served version before another one is tried: it has worked, so the fault is probably elsewhere.
_SECOND_CHANCES = 1

# For each file of a version: its name, and numbers that change with its content, its permissions and its link target.
State = tuple[tuple[str, int, int, int, int, int], ...]


@dataclass(frozen=True)
class Version:
    """A version that has passed the checks, and the state of its files at that time."""

    folder: Path
    tokenizer: PairTokenizer
    state: State

    @property
    def bundle(self) -> Bundle:
        """The bundle of the tokenizer."""
        return self.tokenizer.bundle


class Versions:
    """The versions in the folder `model`. `served`: the one that Triton serves, None before the first.

    `noted` is called with the folder of each version that Triton serves from now on (None), or that is left out (the reason).
    """

    def __init__(self, model: Path, max_seq_len: int | None, noted: Callable[[Path, str | None], None] | None = None) -> None:
        self.served: Version | None = None
        self._noted = noted or _ignore
        self._model = model
        self._max_seq_len = max_seq_len
        self._starting: Version | None = None
        self._failed_starts: Counter[Path] = Counter()  # since Triton last worked
        self._passed: dict[Path, Version] = {}
        self._left_out: dict[Path, State] = {}
        self._seen: dict[Path, State] = {}

    def first(self) -> Version:
        """The version to start Triton with: the served one, else the newest; failed ones come after the others.

        Raises the BundleError of the newest version if none is usable.
        """
        fault: BundleError | None = None
        for folder in sorted(versions(self._model), key=self._rank):
            state = _state(folder)
            try:
                return self._checked(folder, state)
            except BundleError as error:
                self._leave_out(folder, state, error.message)
                fault = fault or error
        raise fault or no_bundle(self._model)

    def start(self) -> Version:
        """Like `first`, and count the start. The previous start counts as failed unless `works` was called since."""
        self.failed()
        self._starting = self.first()
        return self._starting

    def another(self) -> bool:
        """Whether there is, after a failed start, a version that Triton was not started with yet."""
        self.failed()
        return self._failed_starts[self.first().folder] == 0

    def failed(self, reason: str = "Triton did not start with it; its messages above say why") -> None:
        """Count the current start as failed, if there is one."""
        version, self._starting = self._starting, None
        if version is None:
            return
        self._failed_starts[version.folder] += 1
        if version is not self.served:
            self.refuse(version, reason)

    def works(self, version: Version | None = None) -> None:
        """Record that Triton serves `version`; by default the version of the current start."""
        self.served = version or self._starting or self.served
        self._starting = None
        self._failed_starts.clear()
        if self.served:
            self._left_out.pop(self.served.folder, None)
            self._noted(self.served.folder, None)

    def newer(self) -> Version | None:
        """The version that has to replace the served one: a newer one, or an older one if the served version was removed.

        A version whose files have changed since the last call may be incomplete, so it is not returned before the next call.
        """
        served = self.served
        if served is None or self._starting:
            return None
        found = versions(self._model)
        for folder in found:
            if served.folder in found and int(folder.name) < int(served.folder.name):
                return None
            state = _state(folder)
            still = self._seen.get(folder) == state
            self._seen[folder] = state
            if not still or self._left_out.get(folder) == state:
                continue
            try:
                if read_bundle(folder).digest == served.bundle.digest:
                    return None
                return self._checked(folder, state)
            except BundleError as error:
                self._leave_out(folder, state, error.message)
        return None

    def refuse(self, version: Version, reason: str) -> None:
        """Leave out a version that Triton cannot load."""
        self._leave_out(version.folder, version.state, f"{reason}; repair or remove {version.folder}")

    def _checked(self, folder: Path, state: State) -> Version:
        """Raises BundleError for an unusable version."""
        known = self._passed.get(folder)
        if known and known.state == state:
            return known
        tokenizer = read_version(folder, self._max_seq_len)
        int8 = {INT8_GRAPH} & set(tokenizer.bundle.manifest["files"])
        tokenizer.bundle.verify(WEIGHTS, *int8)  # Triton verifies the gigabytes beside them
        self._passed[folder] = Version(folder, tokenizer, state)
        return self._passed[folder]

    def _leave_out(self, folder: Path, state: State, reason: str) -> None:
        if self._left_out.get(folder) == state:
            return
        self._left_out[folder] = state
        serving = f", still serving bundle {self.served.bundle.digest:.12}" if self.served else ""
        self._noted(folder, reason)
        LOG.error("version %s is left out until its files change%s: %s", folder.name, serving, reason)

    def _rank(self, folder: Path) -> tuple[int, bool, bool]:
        served = self.served is not None and folder == self.served.folder
        failures = self._failed_starts[folder] - (_SECOND_CHANCES if served else 0)
        return max(failures, 0), folder in self._left_out, not served


def _ignore(_folder: Path, _fault: str | None) -> None:
    pass


def _state(folder: Path) -> State:
    """Without subfolders, since Python writes compiled code into one. Empty if the folder cannot be read."""
    try:
        return tuple(sorted(_file_state(path) for path in folder.iterdir() if not path.is_dir()))
    except OSError:
        return ()


def _file_state(path: Path) -> tuple[str, int, int, int, int, int]:
    try:
        found = path.stat()
    except OSError:  # a broken link
        return (path.name, 0, 0, 0, 0, 0)
    return (path.name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
