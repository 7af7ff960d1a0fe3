"""The families of rerankers that can be exported, chosen by a checkpoint's config.json. One module for each kind of architecture.

Code that comes with a checkpoint is never run: every family is built from transformers' own classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from scripts.export import declared
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families import bidirectional, decoder, encoder, gte, modular, nemotron_vl, xlm_roberta_flash

Load = Callable[[Path, dict[str, Any], str], Checkpoint]
FAMILIES: dict[str, Load] = {
    **dict.fromkeys(encoder.CLASSES, encoder.load),
    **dict.fromkeys(bidirectional.MODEL_TYPES, bidirectional.load),
    **dict.fromkeys(decoder.CLASSES, decoder.load),
    **dict.fromkeys(gte.CLASSES, gte.load),
    nemotron_vl.MODEL_TYPE: nemotron_vl.load,
}


def load(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`. Raises ExportError for a family that is not known and for a checkpoint that is no reranker."""
    path = folder / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExportError(f"{path} is missing: MODEL is to be the folder of a Hugging Face checkpoint, or a model id of the hub") from None
    except ValueError as error:
        raise ExportError(f"{path} is no valid JSON ({error}): download the checkpoint again") from None
    if not isinstance(config, dict):
        raise ExportError(f"{path} is no JSON object: download the checkpoint again")
    family = str(config.get("model_type"))
    if family not in FAMILIES:
        raise ExportError(f"the family of {folder} is {family!r}; known are {', '.join(sorted(FAMILIES))}")
    make = _made_by(folder, config) or FAMILIES[family]
    return replace(make(folder, config, family), activation=declared.activation(folder, config))


def _made_by(folder: Path, config: dict[str, Any]) -> Load | None:
    """The loader of a checkpoint that model_type alone does not describe; None for all others."""
    if modular.is_modular(folder):
        return modular.load
    return xlm_roberta_flash.load if xlm_roberta_flash.is_flash(config) else None
