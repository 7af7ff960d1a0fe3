"""The tensors of a checkpoint's safetensors files, sharded or not. Knows file names, no model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from scripts.export.checkpoint import ExportError

# In the order in which transformers looks for them.
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = "pytorch_model*.bin*"


def weight_files(folder: Path) -> list[Path]:
    """The files of the checkpoint's weights. Raises ExportError where there are none, or not all that the index names."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if not (folder / INDEX).is_file():
        raise ExportError(_no_weights(folder))
    try:
        names = sorted(set(json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ExportError(f"{folder / INDEX} is no index of weights: download the checkpoint again") from None
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise ExportError(f"{folder} lacks {', '.join(absent)}, which {INDEX} names: download the checkpoint again")
    return [folder / name for name in names]


def stored_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Each tensor with its name, one after the other, since a large checkpoint does not fit into memory twice."""
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="pt") as stored:
                for name in stored.keys():  # noqa: SIM118 (it is no mapping)
                    yield name, stored.get_tensor(name)
        except SafetensorError as error:
            raise ExportError(f"{file} can't be read ({error}): download the checkpoint again") from None


def _no_weights(folder: Path) -> str:
    if any(folder.glob(PICKLED)):
        return (
            f"{folder} has its weights as pytorch_model.bin only, which is never read since it can run code: load it with transformers "
            "and call save_pretrained, which writes safetensors"
        )
    return f"{folder} has no weights: neither {SINGLE} nor {INDEX} is there"
