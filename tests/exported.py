"""Bundles of tiny checkpoints that tests share: what several tests or workers ask for is exported once in a run."""

import fcntl
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from facade.reranking.bundle import MANIFEST

# For all alike, so that a checkpoint has one bundle.
OPTIONS = ("--name", "tests/tiny", "--licence-name", "CC0", "--longest", "96")


@dataclass(frozen=True)
class Exports:
    """The bundles of this run, in a folder that all of its workers share."""

    folder: Path

    def bundle(self, checkpoint: Path, out: Path) -> Path:
        """Write the bundle of `checkpoint` to the new folder `out` and return that; the same content has the same bundle."""
        kept = self.folder / _content(checkpoint)
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (kept / MANIFEST).is_file():
                from scripts import export_model  # noqa: PLC0415 (seconds, for tests that need no export)

                assert export_model.main(["--model", str(checkpoint), "--out", str(kept), *OPTIONS]) == 0
        shutil.copytree(kept, out)
        return out

    def vl_checkpoint(self) -> Path:
        """The tiny checkpoint that takes images (tests/vl_checkpoint.py), which no test may change."""
        folder = self.folder / "tiny-vl"
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "config.json").is_file():
                from tests.vl_checkpoint import make_checkpoint  # noqa: PLC0415 (torch, for tests that need no export)

                make_checkpoint(folder)
        return folder

    def vl_bundle(self, out: Path) -> Path:
        """Write the bundle of that checkpoint to the new folder `out` and return that."""
        return self.bundle(self.vl_checkpoint(), out)


def _content(folder: Path) -> str:
    """A name that stands for the folder's files, and for its own name, which a bundle records."""
    files = {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*") if file.is_file()}
    return hashlib.sha256(json.dumps([folder.name, files], sort_keys=True).encode()).hexdigest()


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """The bundles of this run."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "bundles"
    folder.mkdir(exist_ok=True)
    return Exports(folder)
