"""Single tensors out of a checkpoint's safetensors files, sharded or not. Knows file names, no model."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from scripts.export.checkpoint import ExportError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def read_tensor(folder: Path, name: str) -> Tensor:
    """The tensor called `name`. Raises ExportError where there is none."""
    file = folder / SINGLE
    if (folder / INDEX).is_file():
        files = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        file = folder / files.get(name, SINGLE)
    if not file.is_file():
        raise ExportError(f"{folder} holds no {name}: a reranker's checkpoint has it in {SINGLE}, or in the files that {INDEX} names")
    with safe_open(file, framework="pt") as stored:
        if name not in stored.keys():  # noqa: SIM118 (it is no mapping)
            raise ExportError(f"{file} holds no {name}: this checkpoint is no reranker of its family")
        tensor: Tensor = stored.get_tensor(name)
    return tensor
