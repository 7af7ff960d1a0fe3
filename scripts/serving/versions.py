"""The reranker's versions on the disk: which one Triton is started with, which one takes over from it, and which are left out.

A version is checked as far as that is possible without an engine: manifest, digests, limit, tokenizer. Whether its graph loads, Triton
finds out; one that it could not load is left out until its files change. Knows files, neither Triton nor processes.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from facade.errors import BundleError
from facade.reranking.active_bundle import read_version
from facade.reranking.bundle import INT8_GRAPH, WEIGHTS, Bundle, no_bundle, read_bundle, versions
from facade.reranking.pairs import PairTokenizer

LOG = logging.getLogger(__name__)

# Starts that the served version may fail before another one is tried: it has worked, so the fault is probably not its own.
_SECOND_CHANCES = 1

# Of each file of a version: what changes with its content, with the right to read it, and with what a link leads to.
State = tuple[tuple[str, int, int, int, int, int], ...]


@dataclass(frozen=True)
class Version:
    """A version that passed its checks, and the state of its files at that time."""

    folder: Path
    tokenizer: PairTokenizer
    state: State

    @property
    def bundle(self) -> Bundle:
        """The tokenizer's."""
        return self.tokenizer.bundle


class Versions:
    """The versions in the folder `model`. `served`: the one that Triton serves, None before it serves any."""

    def __init__(self, model: Path, max_seq_len: int | None) -> None:
        self.served: Version | None = None
        self._model = model
        self._max_seq_len = max_seq_len
        self._starting: Version | None = None
        self._failed_starts: Counter[Path] = Counter()  # since Triton last worked
        self._passed: dict[Path, Version] = {}
        self._left_out: dict[Path, State] = {}
        self._seen: dict[Path, State] = {}

    def first(self) -> Version:
        """The version to start Triton with: the served one, else the newest; one that has failed comes after the others.

        Raises BundleError, that of the newest version, where none can be used.
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
        """The same, for a start that begins now. The start before has failed, unless `works` was called since."""
        self.failed()
        self._starting = self.first()
        return self._starting

    def another(self) -> bool:
        """Whether, after a start that failed, there is a version which Triton has not been started with yet."""
        self.failed()
        return self._failed_starts[self.first().folder] == 0

    def failed(self, reason: str = "Triton did not start with it and says why above") -> None:
        """The start that is under way has failed, if there is one."""
        version, self._starting = self._starting, None
        if version is None:
            return
        self._failed_starts[version.folder] += 1
        if version is not self.served:
            self.refuse(version, reason)

    def works(self, version: Version | None = None) -> None:
        """Triton serves `version`, or where none is named the one that was to be started."""
        self.served = version or self._starting or self.served
        self._starting = None
        self._failed_starts.clear()
        if self.served:
            self._left_out.pop(self.served.folder, None)

    def newer(self) -> Version | None:
        """The version that has to take over from the served one: a newer one, or an older one where the served one was taken away.

        One whose files have changed since the last call may still be being written, so it has to wait for the next call.
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
        """Leave out a version that Triton could not load."""
        self._leave_out(version.folder, version.state, f"{reason}; mend or remove {version.folder}")

    def _checked(self, folder: Path, state: State) -> Version:
        """Raises BundleError for a version that can't be served."""
        known = self._passed.get(folder)
        if known and known.state == state:
            return known
        tokenizer = read_version(folder, self._max_seq_len)
        int8 = {INT8_GRAPH} & set(tokenizer.bundle.manifest["files"])
        tokenizer.bundle.verify(WEIGHTS, *int8)  # gigabytes beside them are Triton's to read
        self._passed[folder] = Version(folder, tokenizer, state)
        return self._passed[folder]

    def _leave_out(self, folder: Path, state: State, reason: str) -> None:
        if self._left_out.get(folder) == state:
            return
        self._left_out[folder] = state
        serving = f", still serving bundle {self.served.bundle.digest:.12}" if self.served else ""
        LOG.error("version %s is left out until its files change%s: %s", folder.name, serving, reason)

    def _rank(self, folder: Path) -> tuple[int, bool, bool]:
        served = self.served is not None and folder == self.served.folder
        failures = self._failed_starts[folder] - (_SECOND_CHANCES if served else 0)
        return max(failures, 0), folder in self._left_out, not served


def _state(folder: Path) -> State:
    """Folders in it don't count: Python keeps compiled code in one. Empty where the folder can't be read."""
    try:
        return tuple(sorted(_file_state(path) for path in folder.iterdir() if not path.is_dir()))
    except OSError:
        return ()


def _file_state(path: Path) -> tuple[str, int, int, int, int, int]:
    try:
        found = path.stat()
    except OSError:  # a link to nowhere
        return (path.name, 0, 0, 0, 0, 0)
    return (path.name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
