"""Load a model by transformers, and prove that it was loaded whole: every weight is the file's, and every weight of the file is used.

transformers draws a missing weight at random, leaves an unknown one aside, and lists of each class say which of both it does not report.
So its report proves nothing: the model's weights are compared with the files, tensor by tensor. Knows no family.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scripts.export.checkpoint import ExportError
from scripts.export.weights import stored_tensors, weight_files

# Tensors that a file may hold though the model has no place for them, as patterns with the reason why they change no score.
BUFFERS = {
    r"(^|\.)position_ids$": "a range of numbers, which earlier versions of transformers stored",
    r"(^|\.)rotary_emb\.inv_freq$": "computed from config.json, stored by earlier versions of transformers",
}
SHOWN = 4  # names that a refusal lists of each kind
LONGEST = 300  # characters of a library's message
# What the norms of the first BERT checkpoints are called; transformers knows both.
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


@dataclass
class Faults:
    """Names of weights, by what is wrong with them."""

    missing: set[str] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)
    misshapen: set[str] = field(default_factory=set)
    other: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        kinds = {"missing": self.missing, "unused": self.unused, "of another shape": self.misshapen, "not as stored": self.other}
        return "; ".join(f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names)


def load_whole(make: Any, folder: Path, harmless: Mapping[str, str] = BUFFERS, **options: Any) -> Any:
    """The model that `make.from_pretrained` loads from `folder`, in fp32.

    `harmless`: see BUFFERS. Raises ExportError that names the weights which are missing, unused, of another shape, or not as stored.
    """
    weight_files(folder)
    try:
        model, report = make.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that the refusal can list them
            **options,
        )
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (what transformers raises depends on the entries of a foreign config.json)
        raise ExportError(
            f"transformers can't load {folder} ({_in_one_line(error)}): correct its config.json, or download it again"
        ) from None
    faults = _compare(model, folder)
    _add(faults, report)
    faults.unused = {name for name in faults.unused if not any(re.search(pattern, name) for pattern in harmless)}
    refuse(faults, folder, type(model).__name__)
    return model


def refuse(faults: Faults, folder: Path, kind: str) -> None:
    """Raise ExportError where there are faults, of weights that should be those of a `kind`."""
    if str(faults):
        raise ExportError(
            f"{folder} does not hold exactly the weights of a {kind}; {faults}. "
            "Its scores would be random or another model's: export a checkpoint that was saved as this kind of reranker"
        )


def _compare(model: Any, folder: Path) -> Faults:
    """The model's weights against the files' by name, shape and value."""
    own: dict[str, Tensor] = model.state_dict()
    faults = Faults()
    found = set()
    for stored_name, tensor in stored_tensors(folder):
        name = _name_in(own, stored_name, model.base_model_prefix)
        value = own.get(name)
        if value is None:
            faults.unused.add(stored_name)
            continue
        found.add(name)
        if value.shape != tensor.shape:
            faults.misshapen.add(misshapen(name, tensor.shape, value.shape))
        elif not torch.equal(value, tensor.to(value.dtype)):  # a weight that is not a number differs, too
            faults.other.add(name)
    # A tied weight is stored once.
    places = {own[name].data_ptr() for name in found}
    faults.missing = {name for name in own.keys() - found if own[name].data_ptr() not in places}
    return faults


def _add(faults: Faults, report: Mapping[str, Any]) -> None:
    """What transformers itself reports, beside what the comparison found."""
    faults.missing |= set(report["missing_keys"])
    faults.unused |= set(report["unexpected_keys"])
    faults.misshapen |= {misshapen(*entry) for entry in report["mismatched_keys"]}
    faults.other |= set(report["error_msgs"])


def misshapen(name: str, stored: Sequence[int], wanted: Sequence[int]) -> str:
    """The fault of a weight of another shape."""
    return f"{name} {list(stored)} instead of {list(wanted)}"


def _name_in(own: Mapping[str, Tensor], stored: str, prefix: str) -> str:
    """What the model calls a stored tensor. One that was saved without a head lacks the prefix of the body's names."""
    name = stored
    for old, new in OLD_NAMES.items():
        name = name.replace(old, new)
    return f"{prefix}.{name}" if name not in own and f"{prefix}.{name}" in own else name


def _listed(names: set[str]) -> str:
    first = sorted(names)[:SHOWN]
    return ", ".join(first) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _in_one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST]}"
