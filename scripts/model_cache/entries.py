"""The bundles in the cache: where they are, what each was exported from, and how one is removed. Knows files, no server and no export."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from facade.errors import BundleError
from facade.reranking.bundle import MANIFEST, Bundle, read_bundle
from scripts.model_cache.checkpoint_files import CheckpointFiles

RECORD = "checkpoint.json"  # beside the bundle's files: the files of the checkpoint's folder at its export
_HOME = "triton-reranker"


def models_folder(home: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the cached bundles. `home`: RERANKER_HOME; None: the user's cache folder."""
    caches = Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return (home or caches / _HOME).absolute() / "models"


@dataclass(frozen=True)
class Entry:
    """A cached bundle. `checkpoint`: the folder that it was exported from; None for one from the hub, or copied into the cache."""

    bundle: Bundle
    checkpoint: CheckpointFiles | None

    @property
    def folder(self) -> Path:
        """The bundle's folder."""
        return self.bundle.folder

    @property
    def name(self) -> str:
        """The entry's own name, which no other entry has."""
        return self.folder.name

    @property
    def source(self) -> str:
        """The hub id, or the name of the folder, that the bundle was exported from."""
        return str(self.bundle.manifest["source"]["model"])

    @property
    def precision(self) -> str:
        """The precision of the export: int8 where the bundle has an int8 graph beside the fp32 one."""
        return self.bundle.precisions[-1]

    @property
    def key(self) -> tuple[str, ...]:
        """What identifies repeated exports of the same model: model, commit or content digest, precision, name."""
        commit = self.bundle.manifest["source"].get("revision") or (self.checkpoint.content if self.checkpoint else self.bundle.digest)
        return self.source, str(commit), self.precision, self.bundle.model_id

    @cached_property
    def exported_s(self) -> float:
        """When the bundle was written, in seconds since 1970."""
        return (self.folder / MANIFEST).stat().st_mtime


def entry_of(folder: Path) -> Entry:
    """The entry in `folder`. Raises BundleError where it holds no usable bundle."""
    return Entry(read_bundle(folder), _read_record(folder))


def entries(models: Path) -> list[Entry]:
    """All usable entries, the last exported first. Unfinished exports have hidden names."""
    found = []
    for manifest in models.glob(f"[!.]*/{MANIFEST}"):
        with suppress(BundleError, OSError):
            found.append(entry_of(manifest.parent))
    return sorted(found, key=lambda entry: entry.exported_s, reverse=True)


def entry_name(bundle: Bundle) -> str:
    """The name of a bundle's entry: its model, its precision, and the start of its digest."""
    model = "".join(letter if letter.isalnum() or letter in "-._" else "--" for letter in bundle.model_id).lstrip(".")
    return f"{model}-{bundle.precisions[-1]}-{bundle.digest:.8}"


def record(folder: Path, checkpoint: CheckpointFiles) -> None:
    """Write beside a bundle what it was exported from. Raises OSError."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, prefix=".", delete=False) as file:
        file.write(json.dumps(asdict(checkpoint)))
    Path(file.name).chmod(0o644)
    Path(file.name).replace(folder / RECORD)


def same_content(entry: Entry, folder: Path, state: tuple[tuple[str, int, int], ...]) -> bool:
    """Whether `folder` is the one that the entry was exported from, and unchanged since, as far as sizes and times show."""
    return entry.checkpoint is not None and entry.checkpoint == replace(entry.checkpoint, path=str(folder.resolve()), state=state)


def remove(entry: Entry) -> int:
    """Remove the entry and return its bytes. The manifest is removed first, so that a half-removed entry is not listed. Raises OSError."""
    size = size_of(entry.folder)
    if entry.folder.is_symlink():  # a bundle that lies elsewhere, which stays there
        entry.folder.unlink()
        return size
    (entry.folder / MANIFEST).unlink()
    shutil.rmtree(entry.folder)
    return size


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _read_record(folder: Path) -> CheckpointFiles | None:
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        state = tuple((str(name), int(size), int(changed)) for name, size, changed in content["state"])
        return CheckpointFiles(str(content["path"]), state, str(content["content"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
