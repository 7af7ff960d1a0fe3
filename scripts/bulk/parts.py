"""The working folder: of each block that is done, its part of the output and a record, both whole or not there at all.

A record is written last, so a block without one is not done. Knows nothing of rows, and not which run the parts are of (run_state.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import orjson

RECORD = ".json"


@dataclass(frozen=True)
class Rejected:
    """A row that could not be ranked: its place in its file, from 1, and why."""

    file: str
    row: int
    reason: str


@dataclass(frozen=True)
class Record:
    """A block that is done: its rows, the pairs that were scored, and what was rejected."""

    number: int
    rows: int
    pairs: int
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Parts:
    """The parts in `folder`, files of the kind `suffix`."""

    folder: Path
    suffix: str

    def save(self, record: Record, write: Callable[[Path], None]) -> None:
        """Has `write` make the part, then records the block as done. Doing it twice does no harm: the bytes are the same."""
        replace(self.part(record.number), self.folder, write)
        replace(self._record(record.number), self.folder, lambda path: _dump(path, record))

    def done(self) -> dict[int, Record]:
        """The records by the blocks' numbers."""
        found = (_load(path) for path in self.folder.glob(f"[0-9]*{RECORD}"))
        return {record.number: record for record in found}

    def part(self, number: int) -> Path:
        """Where a block's part lies once it is done."""
        return self.folder / f"{number:08}{self.suffix}"

    def join_rejected(self, numbers: Sequence[int], path: Path) -> int:
        """Writes what was rejected in these blocks to `path`, an object a line, and returns how many; where there are none, no file."""
        count = 0

        def write(temporary: Path) -> None:
            nonlocal count
            with temporary.open("wb") as lines:
                for number in numbers:
                    for entry in _load(self._record(number)).rejected:
                        lines.write(orjson.dumps(asdict(entry), option=orjson.OPT_APPEND_NEWLINE))
                        count += 1

        replace(path, self.folder, write)
        if not count:
            path.unlink()
        return count

    def _record(self, number: int) -> Path:
        return self.folder / f"{number:08}{RECORD}"


def replace(path: Path, folder: Path, write: Callable[[Path], None]) -> None:
    """Has `write` make a file in `folder`, which takes the place of `path` once it is on the disk."""
    temporary = folder / f".{path.name}.{uuid4().hex}"  # its own, where two workers of a cluster make the same part
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _dump(path: Path, record: Record) -> None:
    path.write_bytes(orjson.dumps(asdict(record)))


def _load(path: Path) -> Record:
    content = orjson.loads(path.read_bytes())
    return Record(**content | {"rejected": tuple(Rejected(**entry) for entry in content["rejected"])})
