"""Where a checkpoint comes from: a folder, or the hub, from which one commit is fetched and remembered. Knows no model.

Only data is fetched (configuration, tokenizer, safetensors), never code.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from scripts.export.checkpoint import ExportError
from scripts.export.manifest import Licence, Source

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "README.md"]
UNSTATED = Licence("unstated", "The checkpoint states no licence; ask its author before you use it.")
STATED = re.compile(r"^license(?:_name)?:\s*(\S.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Origin:
    """A checkpoint on this machine's disk, and what to remember of where it came from."""

    folder: Path
    source: Source
    licence: Licence


def fetch(model: str, revision: str | None) -> Origin:
    """The checkpoint called `model`: a folder as it is, a hub id from the hub or, without a connection, from its cache.

    Raises ExportError, which says what to do: sign in, accept a licence, correct the name.
    """
    if Path(model).is_dir():
        folder = Path(model)
        return Origin(folder, Source(folder.resolve().name, None), _licence(folder))
    if Path(model).is_absolute() or model.startswith(".") or model.count("/") != 1:
        raise ExportError(f"{model} is neither a folder nor a model id of the hub (organisation/model)")
    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=WANTED))
    except GatedRepoError:
        raise ExportError(f"{model} is gated: accept its licence on its page, then `hf auth login` or set HF_TOKEN") from None
    except RevisionNotFoundError:
        raise ExportError(f"{model} has no revision {revision}") from None
    except RepositoryNotFoundError:
        raise ExportError(f"{model} is not on the hub, or private: check the name, `hf auth login` or set HF_TOKEN") from None
    except LocalEntryNotFoundError:
        raise ExportError(f"the hub can't be reached and {model} is not in its cache: give the folder of a downloaded checkpoint") from None
    except (HfHubHTTPError, OSError) as error:
        raise ExportError(f"{model} can't be fetched ({error}): try again, or give the folder of a downloaded checkpoint") from None
    # The hub's cache names a snapshot's folder after its commit.
    return Origin(folder, Source(model, folder.name), _licence(folder))


def _licence(folder: Path) -> Licence:
    """What licence.json says, which the project's own training writes, or what the model card's head states."""
    own = folder / "licence.json"
    if own.is_file():
        try:
            return Licence(**json.loads(own.read_text(encoding="utf-8")))
        except (TypeError, ValueError):
            raise ExportError(f'{own} is not {{"name": "…", "text": "…"}}: correct it or remove it') from None
    card = folder / "README.md"
    head = card.read_text(encoding="utf-8", errors="replace").split("\n---", 1)[0] if card.is_file() else ""
    found = STATED.findall(head) if head.startswith("---") else []
    return Licence(" / ".join(found), "As stated in the checkpoint's model card.") if found else UNSTATED
