"""Find the bundle for a model name that a user gives: in the cache, or a bundle's folder. Knows files, no server and no export."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from facade.errors import SettingsError
from facade.reranking.bundle import MANIFEST
from scripts.model_cache.checkpoint_files import files_of, state_of
from scripts.model_cache.entries import Entry, entries, entry_of, record, same_content

CONFIG = "config.json"


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `model`: a hub id, a folder, or a cached model's name; `precision` and `name` (of clients): None for any."""

    model: str
    precision: str | None = None
    name: str | None = None

    def agrees(self, entry: Entry) -> bool:
        """Whether the entry has this precision and name."""
        return self.precision in {None, entry.precision} and self.name in {None, entry.bundle.model_id}


def find(wanted: Wanted, models: Path) -> Entry | None:
    """The bundle to serve, of several the last exported; None where an export has to make it.

    Raises SettingsError where no export could: no such folder, or no checkpoint in it. Raises BundleError for a damaged bundle's folder.
    """
    folder = Path(wanted.model).expanduser()
    if (folder / MANIFEST).is_file():
        return entry_of(folder.absolute())
    known = entries(models)
    fitting = [entry for entry in known if wanted.agrees(entry)]
    if folder.is_dir():
        if not (folder / CONFIG).is_file():
            raise SettingsError(f"{folder} is no checkpoint ({CONFIG} is missing) and no bundle ({MANIFEST} is missing): correct MODEL")
        return _exported_from(folder, fitting)
    same = [entry for entry in fitting if wanted.model in names_of(entry)]
    if not same and not is_hub_id(wanted.model):
        raise SettingsError(
            f"{wanted.model} is no folder, no model id of the hub (organisation/model) and no cached model"
            f"{guess(wanted.model, known)}: correct MODEL, `make models` lists what is cached"
        )
    return same[0] if same else None


def names_of(entry: Entry) -> tuple[str, ...]:
    """The names by which an entry is found."""
    return entry.name, entry.source, entry.bundle.model_id


def nearest(model: str, known: Sequence[Entry]) -> str | None:
    """The cached model's name that is most similar, if one is."""
    names = dict.fromkeys(name for entry in known for name in names_of(entry))
    return next(iter(get_close_matches(model, names, n=1)), None)


def is_hub_id(model: str) -> bool:
    """Whether the name has the form of a hub's model id."""
    return model.count("/") == 1 and not model.startswith((".", "/", "~")) and not model.endswith("/")


def guess(model: str, known: Sequence[Entry]) -> str:
    """A suggestion of the most similar cached name; empty if there is none."""
    name = nearest(model, known)
    return f" (did you mean {name}?)" if name else ""


def _exported_from(folder: Path, fitting: Sequence[Entry]) -> Entry | None:
    """The entry that was exported from this folder's content, though perhaps from a copy of it."""
    if not fitting:
        return None
    state = state_of(folder)
    unchanged = _first(fitting, lambda entry: same_content(entry, folder, state))
    if unchanged or not any(entry.checkpoint for entry in fitting):
        return unchanged
    files = files_of(folder)
    same = _first(fitting, lambda entry: entry.checkpoint is not None and entry.checkpoint.content == files.content)
    if same:
        with suppress(OSError):  # a read-only cache: the next start hashes again
            record(same.folder, files)
    return same


def _first(fitting: Sequence[Entry], condition: Callable[[Entry], bool]) -> Entry | None:
    return next((entry for entry in fitting if condition(entry)), None)
