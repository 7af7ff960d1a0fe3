"""Whether a checkpoint's folder still holds what a bundle was exported from. Knows files, no model.

Hashing gigabytes takes seconds, so sizes and times are compared first; the content decides where they differ (a copy, another folder).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

# What an export reads: configuration, weights, tokenizer, chat template, licence.
READ = (".json", ".safetensors", ".jinja", ".model", ".txt", ".md")


@dataclass(frozen=True)
class CheckpointFiles:
    """The files of the folder `path`: (name, bytes, time of the last change in ns) each, and the SHA-256 of names and contents."""

    path: str
    state: tuple[tuple[str, int, int], ...]
    content: str


def files_of(folder: Path) -> CheckpointFiles:
    """Read and hash the folder's files."""
    hashed = hashlib.sha256()
    for path in _read(folder):
        with path.open("rb") as file:
            hashed.update(f"{path.relative_to(folder)}\n{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return CheckpointFiles(str(folder.resolve()), state_of(folder), hashed.hexdigest())


def state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of each file, without reading one."""
    return tuple((str(path.relative_to(folder)), (found := path.stat()).st_size, found.st_mtime_ns) for path in _read(folder))


def _read(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in READ and path.is_file())
