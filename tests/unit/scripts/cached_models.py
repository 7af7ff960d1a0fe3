"""Bundles and checkpoints for tests of the cache: small files, no model in them."""

import hashlib
import json
import os
from pathlib import Path

from facade.reranking.bundle import MANIFEST, TOKENIZER, WEIGHTS, Bundle, manifest_digest
from scripts.model_cache.checkpoint_files import files_of
from scripts.model_cache.entries import entry_name, entry_of, record


def write_bundle(folder: Path, default: Bundle, **entries: object) -> Path:
    """A sealed bundle in the new folder: the default's manifest with other entries."""
    folder.mkdir(parents=True)
    (folder / TOKENIZER).write_bytes((default.folder / TOKENIZER).read_bytes())
    (folder / WEIGHTS).write_bytes(b"weights")
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (TOKENIZER, WEIGHTS)}
    manifest = {**default.manifest, "files": files, **entries}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "digest": manifest_digest(manifest)}))
    return folder


def cached(models: Path, default: Bundle, model: str, *, checkpoint: Path | None = None, age_s: float = 0.0, **entries: object) -> Path:
    """An entry of the cache, as an export of `model` from the hub, or of the folder `checkpoint`, leaves it."""
    source = {"model": checkpoint.name, "revision": None} if checkpoint else {"model": model, "revision": "abc"}
    folder = write_bundle(models / "new", default, **{"model_id": model, "source": source, **entries})
    if checkpoint:
        record(folder, files_of(checkpoint))
    changed = (folder / MANIFEST).stat().st_mtime - age_s
    os.utime(folder / MANIFEST, (changed, changed))
    return folder.rename(models / entry_name(entry_of(folder).bundle))


def write_checkpoint(folder: Path, weights: bytes = b"weights") -> Path:
    """A checkpoint's folder."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "notes").write_text("no file of a checkpoint")
    return folder
