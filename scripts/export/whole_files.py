"""Whether a checkpoint's files are there and whole, before anything is loaded. Knows file formats, no model."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from scripts.export.checkpoint import ExportError
from scripts.export.declared import modules
from scripts.export.weights import INDEX, SINGLE

POINTER = b"version https://git-lfs.github.com/spec/"  # how a file begins that git-lfs left where the real one belongs
HEADER_LENGTH = struct.Struct("<Q")  # how a safetensors file begins: the bytes of its header, which is JSON
READ = (".json", ".txt", ".model")  # configuration and tokenizer; weights are looked at apart
AGAIN = "download the checkpoint again"
SHOWN = 5  # files that a message lists


def check(folder: Path) -> None:
    """Raise ExportError for files that are pointers of git-lfs, broken links, cut off, or named by the index and missing."""
    texts = [path for path in sorted(folder.iterdir()) if path.suffix in READ]
    _refuse(folder, [path for path in texts if path.is_symlink() and not path.exists()], "links to nothing", AGAIN)
    _refuse(folder, [path for path in texts if _is_pointer(path)], "only pointers of git-lfs", "run `git lfs pull` there")
    parts = dict.fromkeys((folder, *(path for _, path in modules(folder))))  # sentence-transformers' modules have weights of their own
    weights = [file for part in parts for file in _weights(part)]
    _refuse(folder, [path for path in weights if not path.is_file()], "missing", AGAIN)
    _refuse(folder, [path for path in weights if _is_pointer(path)], "only pointers of git-lfs", "run `git lfs pull` there")
    _refuse(folder, [path for path in weights if not _is_whole(path)], "cut off or damaged", AGAIN)


def _refuse(folder: Path, paths: list[Path], fault: str, remedy: str) -> None:
    names = [path.name for path in paths]
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise ExportError(f"files of {folder} are {fault}: {', '.join(names[:SHOWN])}{more}; {remedy}")


def _is_pointer(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def _weights(folder: Path) -> list[Path]:
    """The safetensors files with the weights: the one, or those that the index names. None where the weights are in other files."""
    index, single = folder / INDEX, folder / SINGLE
    if single.is_symlink() or single.is_file():
        return [single]
    if not index.is_file():
        return []
    try:
        named = {str(name) for name in json.loads(index.read_bytes())["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ExportError(f"{index} is no index of weights: {AGAIN}") from None
    return [folder / name for name in sorted(named)]


def _is_whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(HEADER_LENGTH.size)
        if len(start) < HEADER_LENGTH.size:
            return False
        (length,) = HEADER_LENGTH.unpack(start)
        if length > size:
            return False
        try:
            header = json.loads(file.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
    return bool(HEADER_LENGTH.size + length + max(ends, default=0) == size)
