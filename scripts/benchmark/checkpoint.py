"""The checkpoint that all peers serve: the default bundle's weights, in the formats that they read.

Knows which files peers need: limits in tokenizer files, and the map of special tokens, which newer tokenizers no longer write.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facade.reranking.bundle import TOKENIZER, Bundle
from scripts.benchmark.workplace import Workplace
from scripts.bert.rebuilt import rebuild
from scripts.rebuild_checkpoint import write

_OPSET = 17  # the newest that every peer's runtime reads
_DONE = "bundle-digest"


def checkpoint(bundle: Bundle, workplace: Workplace) -> Path:
    """The folder of the bundle's checkpoint, written if the workplace lacks it. Raises RebuildError."""
    folder = workplace.folder("checkpoint")
    done = folder / _DONE
    if done.is_file() and done.read_text(encoding="utf-8") == bundle.digest:
        return folder
    write(bundle.folder, folder)
    repair_tokenizer(folder, bundle.max_seq_len)
    _export(bundle, folder / "model.onnx")
    done.write_text(bundle.digest, encoding="utf-8")
    return folder


def repair_tokenizer(folder: Path, longest: int) -> None:
    """Remove padding and any truncation below `longest` tokens: FlashRank and fastembed apply these files as they are."""
    _change(folder / TOKENIZER, {"padding": None, "truncation": None})
    config = _change(folder / "tokenizer_config.json", {"max_length": longest, "model_max_length": longest})
    special = {name: token for name, token in config.items() if name.endswith("_token")}
    (folder / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")


def _change(path: Path, entries: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {**json.loads(path.read_text(encoding="utf-8")), **entries}
    path.write_text(json.dumps(changed), encoding="utf-8")
    return changed


class _Logits(nn.Module):
    """The model with positional inputs and logits [rows, 1] as its only output, as in transformers' exports."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        found: Tensor = self._model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits
        return found


def _export(bundle: Bundle, path: Path) -> None:
    names = ["input_ids", "attention_mask", "token_type_ids"]
    example = torch.ones((2, 8), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about shapes that a trace may fix, which the score check would find
        # The wrapper has to be in evaluation mode, too: the exporter restores the wrapper's mode for the whole model.
        torch.onnx.export(
            _Logits(rebuild(bundle.folder)).eval(),
            (example, torch.ones_like(example), torch.zeros_like(example)),
            str(path),
            input_names=names,
            output_names=["logits"],
            dynamic_axes={**{name: {0: "batch", 1: "sequence"} for name in names}, "logits": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
