"""The finished blocks in the working folder: a part of the output and a record for each, written atomically.

The record is written last, so a block without a record is unfinished. Does not know rows, nor which run the parts belong to (run_state.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import orjson

RECORD = ".json"


@dataclass(frozen=True)
class Rejected:
    """A row that could not be ranked: its file, its number there from 1, the reason, and its line where that is not its number."""

    file: str
    row: int
    reason: str
    line: int | None = None


@dataclass(frozen=True)
class Record:
    """A finished block: the counts of its rows and scored pairs, and its rejected rows."""

    number: int
    rows: int
    pairs: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Parts:
    """The parts in `folder`, files with this suffix."""

    folder: Path
    suffix: str

    def save(self, record: Record, write: Callable[[Path], None]) -> None:
        """Write the part with `write`, then the record. A second time is harmless: the bytes are equal."""
        replace(self.part(record.number), self.folder, write)
        replace(self._record(record.number), self.folder, lambda path: _dump(path, record))

    def done(self) -> dict[int, Record]:
        """The records of the finished blocks, by block number."""
        found = (_load(path) for path in self.folder.glob(f"[0-9]*{RECORD}"))
        return {record.number: record for record in found}

    def part(self, number: int) -> Path:
        """The path of a finished block's part."""
        return self.folder / f"{number:08}{self.suffix}"

    def join_rejected(self, numbers: Sequence[int], path: Path) -> int:
        """Write the rejected rows of these blocks to `path`, one JSON object per line; return their count. Without any there is no file."""
        count = 0

        def write(temporary: Path) -> None:
            nonlocal count
            with temporary.open("wb") as lines:
                for number in numbers:
                    for entry in _load(self._record(number)).rejected:
                        known = {name: value for name, value in asdict(entry).items() if value is not None}
                        lines.write(orjson.dumps(known, option=orjson.OPT_APPEND_NEWLINE))
                        count += 1

        replace(path, self.folder, write)
        if not count:
            path.unlink()
        return count

    def _record(self, number: int) -> Path:
        return self.folder / f"{number:08}{RECORD}"


def replace(path: Path, folder: Path, write: Callable[[Path], None]) -> None:
    """Write a file with `write` in `folder`, then move it to `path` once it is on disk."""
    temporary = folder / f".{path.name}.{uuid4().hex}"  # unique, since two workers of a cluster may write the same part
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def concatenate(parts: Iterable[Path], path: Path, head: bytes = b"") -> None:
    """Write `head` and all parts in order, copied in pieces."""
    with path.open("wb") as whole:
        whole.write(head)
        for part in parts:
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, whole)


def _dump(path: Path, record: Record) -> None:
    path.write_bytes(orjson.dumps(asdict(record)))


def _load(path: Path) -> Record:
    content = orjson.loads(path.read_bytes())
    return Record(**content | {"rejected": tuple(Rejected(**entry) for entry in content["rejected"])})
