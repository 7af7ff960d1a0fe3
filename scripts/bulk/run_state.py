"""Which run a working folder belongs to: input, settings and model. Only the same run may go on in it.

How the blocks are computed, here, on a server or on a cluster, is no part of it: the bytes are the same.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.bulk.errors import BulkError
from scripts.bulk.parts import RECORD, replace

FORMAT = 1
_MANIFEST = "run.json"
_LOCK = "lock"


@dataclass(frozen=True)
class Model:
    """What computes the logits: the bundle's digest, engine and precision as the metrics name them, and the limit of a pair in tokens."""

    digest: str
    engine: str
    max_seq_len: int


@dataclass(frozen=True)
class InputFile:
    """A file of the input; its time of change stands in for what is in it, which would take minutes to read."""

    name: str
    size: int
    changed_ns: int


@dataclass(frozen=True)
class Run:
    """All that a part's bytes depend on."""

    input: tuple[InputFile, ...]
    form: str
    block_rows: int
    output: str
    truncate: str
    model: Model
    format: int = FORMAT


# What is told of a difference in each.
_MEANINGS = {
    "input": "another input, or one that was changed",
    "form": "rows of another form",
    "block_rows": "another --block-rows",
    "output": "another kind of output",
    "truncate": "another --truncate",
    "model": "another model bundle, engine, precision or limit of tokens",
    "format": "another version of this program",
}


def input_files(paths: Sequence[Path]) -> tuple[InputFile, ...]:
    """The files as they are now."""
    found = ((path.name, path.stat()) for path in paths)
    return tuple(InputFile(name, state.st_size, state.st_mtime_ns) for name, state in found)


def working_folder(out: Path) -> Path:
    """Where the parts of an output lie until it is whole."""
    return out.with_name(f"{out.name}.work")


@contextmanager
def opened(out: Path, run: Run, *, restart: bool) -> Iterator[Path]:
    """The working folder, which no other process may use meanwhile: new, or of this very run.

    Raises BulkError where the folder is of another run or in use, or where the output is there already, unless it is to `restart`.
    """
    folder = working_folder(out)
    if out.exists() and not folder.exists() and not restart:
        raise BulkError(f"{out} is there already: take it away, name another output, or write it anew with --restart")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BulkError(f"another run is writing {out}: wait for it, or name another output") from None
        if restart:
            _empty(folder)
        _require_same(folder / _MANIFEST, run, folder)
        yield folder


def _empty(folder: Path) -> None:
    """Records first and the manifest last: killed on the way, what is left is still of the former run."""
    for path in sorted(folder.iterdir(), key=lambda path: (path.name == _MANIFEST, path.suffix != RECORD)):
        if path.name != _LOCK:
            path.unlink()


def _require_same(path: Path, run: Run, folder: Path) -> None:
    wanted = json.loads(json.dumps(asdict(run)))
    if not path.exists():
        replace(path, folder, lambda temporary: _dump(temporary, wanted))
        return
    found = json.loads(path.read_bytes())
    differing = [meaning for key, meaning in _MEANINGS.items() if found.get(key) != wanted[key]]
    if differing:
        raise BulkError(f"{folder} was begun with {', and '.join(differing)}: go on as it was begun, or begin anew with --restart")


def _dump(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def remove(folder: Path) -> None:
    """Takes the working folder away at one stroke, once the output is whole: half of one could not be gone on with."""
    done = folder.with_name(f".{folder.name}.done")
    shutil.rmtree(done, ignore_errors=True)  # of a run that was killed right here
    folder.rename(done)
    shutil.rmtree(done)
