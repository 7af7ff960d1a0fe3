"""The run that a working folder belongs to: input, options and model. Only the same run may resume in it.

Where the blocks are computed (here, on a server, on a cluster) is not part of it: the bytes are equal.
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

FORMAT = 2
_MANIFEST = "run.json"
_LOCK = "lock"


@dataclass(frozen=True)
class Model:
    """What computes the logits: the bundle's digest, engine and precision as in the metrics, and the token limit of a pair."""

    digest: str
    engine: str
    max_seq_len: int


@dataclass(frozen=True)
class InputFile:
    """An input file. Its modification time stands for its content, which would take minutes to read."""

    name: str
    size: int
    changed_ns: int


@dataclass(frozen=True)
class Run:
    """Everything that a part's bytes depend on."""

    input: tuple[InputFile, ...]
    form: str
    block_rows: int
    output: str
    truncate: str
    model: Model
    keep: tuple[str, ...] = ()
    format: int = FORMAT


# How an error message names a difference in each field.
_DIFFERENCES = {
    "input": "another input, or a changed one",
    "form": "rows of another form",
    "block_rows": "another --block-rows",
    "output": "another output format",
    "truncate": "another --truncate",
    "model": "another model bundle, engine, precision or token limit",
    "keep": "another --keep",
    "format": "another version of this program",
}


def input_files(paths: Sequence[Path]) -> tuple[InputFile, ...]:
    """The current state of the files."""
    found = ((path.name, path.stat()) for path in paths)
    return tuple(InputFile(name, state.st_size, state.st_mtime_ns) for name, state in found)


def working_folder(out: Path) -> Path:
    """The folder of an output's parts until the output is complete."""
    return out.with_name(f"{out.name}.work")


def require_free(out: Path, *, restart: bool) -> None:
    """Raises BulkError if the output of another run exists, unless `restart`."""
    if out.exists() and not working_folder(out).exists() and not restart:
        raise BulkError(f"{out} exists already: remove it, name another output, or overwrite it with --restart")


@contextmanager
def opened(out: Path, run: Run, *, restart: bool) -> Iterator[Path]:
    """The working folder, new or of the same run, locked against other processes.

    Raises BulkError if it is in use or belongs to another run, or if the output exists; with `restart`, only if it is in use.
    """
    require_free(out, restart=restart)
    folder = working_folder(out)
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
    """Delete records first and the manifest last: after a kill, the rest still belongs to the former run."""
    for path in sorted(folder.iterdir(), key=lambda path: (path.name == _MANIFEST, path.suffix != RECORD)):
        if path.name != _LOCK:
            path.unlink()


def _require_same(path: Path, run: Run, folder: Path) -> None:
    wanted = json.loads(json.dumps(asdict(run)))
    if not path.exists():
        replace(path, folder, lambda temporary: _dump(temporary, wanted))
        return
    found = json.loads(path.read_bytes())
    differing = [meaning for key, meaning in _DIFFERENCES.items() if found.get(key) != wanted[key]]
    if differing:
        raise BulkError(
            f"{folder} was started with {', and '.join(differing)}: resume it with the same options, or start over with --restart"
        )


def _dump(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def remove(folder: Path) -> None:
    """Delete the working folder, renamed first: a half-deleted one could not be resumed."""
    done = folder.with_name(f".{folder.name}.done")
    shutil.rmtree(done, ignore_errors=True)  # left by a run that was killed in this function
    folder.rename(done)
    shutil.rmtree(done)
