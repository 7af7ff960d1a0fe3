"""Versions that can't be served, each bad in a way of its own, made aside and put in place as a whole.

The manifest's digest is right wherever the fault is not the digest itself: only what uses a file can find it bad then.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facade.reranking.bundle import MANIFEST, TOKENIZER, WEIGHTS, file_digest, manifest_digest
from tests.triton.versions import Versions

Spoil = Callable[[Path, Versions], None]


def put(versions: Versions, repository: Path, number: str, spoil: Spoil) -> Path:
    """Version `number` of the repository: bundle 2, spoilt before it is put in place."""
    aside = repository / f"aside-{number}"
    aside.mkdir()
    (aside / "model.py").symlink_to("../1/model.py")
    for name in (WEIGHTS, TOKENIZER, MANIFEST):
        shutil.copy(versions.bundles["2"] / name, aside / name)
    spoil(aside, versions)
    return aside.rename(repository / "reranker" / number)


def seal(folder: Path, **entries: Any) -> None:
    """Have the manifest describe the files as they are now, with other entries, under a right digest."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest |= {"files": {name: file_digest(folder / name) for name in manifest["files"]}, **entries}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "digest": manifest_digest(manifest)}))


def tokenizer_of_a_newer_library(folder: Path, _: Versions) -> None:
    tokenizer = json.loads((folder / TOKENIZER).read_text())
    tokenizer["model"]["type"] = "Kestrel"
    (folder / TOKENIZER).write_text(json.dumps(tokenizer))
    seal(folder)


def tokenizer_that_panics(folder: Path, _: Versions) -> None:
    """The library's Rust code panics on it, which is no Exception in Python."""
    tokenizer = json.loads((folder / TOKENIZER).read_text())
    tokenizer["pre_tokenizer"] = {"type": "FixedLength", "length": 0}
    (folder / TOKENIZER).write_text(json.dumps(tokenizer))
    seal(folder)


def graph_of_no_engine(folder: Path, _: Versions) -> None:
    (folder / WEIGHTS).write_bytes(b"kestrel" * 1000)
    seal(folder)


def other_digest(folder: Path, _: Versions) -> None:
    (folder / WEIGHTS).write_bytes(b"damaged")


def unreadable(folder: Path, _: Versions) -> None:
    path = folder / TOKENIZER
    if os.getuid() == 0:  # the superuser may read whatever has content; this file fails with EIO
        path.unlink()
        path.symlink_to("/proc/self/mem")
    else:
        path.chmod(0)


def limit_below_the_setting(folder: Path, _: Versions) -> None:
    seal(folder, max_seq_len=32)


def limit_that_is_no_number(folder: Path, _: Versions) -> None:
    seal(folder, max_seq_len="96")


def graph_of_another_family(folder: Path, versions: Versions) -> None:
    shutil.copy(versions.bundles["1"] / WEIGHTS, folder / WEIGHTS)
    seal(folder)


def missing_file(folder: Path, _: Versions) -> None:
    (folder / WEIGHTS).unlink()


def half_copied(folder: Path, versions: Versions) -> None:
    whole = (versions.bundles["2"] / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


# Each is left out, in words that contain the text.
LEFT_OUT: dict[Spoil, str] = {
    tokenizer_of_a_newer_library: "tokenizer.json can't be used",
    tokenizer_that_panics: "tokenizer.json can't be used",
    graph_of_no_engine: "the graph in",
    other_digest: "is not the file that",
    unreadable: "can't be read" if os.getuid() else "tokenizer.json can't be",
    limit_below_the_setting: "NIM_MAX_SEQ_LEN=64 is above the 32 tokens",
    limit_that_is_no_number: "max_seq_len: expected a number of tokens",
    graph_of_another_family: "the graph in",
    missing_file: "model.onnx is missing",
    half_copied: "is not the file that",
}
