"""The checkpoint that all peers serve: the default bundle's weights, in the forms that they read.

Knows what peers stumble over: limits in tokenizer files, and names of special tokens that newer tokenizers no longer write.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facade.reranking.bundle import TOKENIZER, Bundle
from scripts.benchmark.workplace import workplace
from scripts.bert.rebuilt import rebuild
from scripts.rebuild_checkpoint import write

_OPSET = 17  # what every peer's runtime reads
_DONE = "bundle-digest"


def checkpoint(bundle: Bundle) -> Path:
    """The folder of the checkpoint; written where the workplace has none of this bundle yet. Raises RebuildError."""
    folder = workplace("checkpoint")
    done = folder / _DONE
    if done.is_file() and done.read_text(encoding="utf-8") == bundle.digest:
        return folder
    write(bundle.folder, folder)
    _mend_tokenizer(folder, bundle.max_seq_len)
    _export(bundle, folder / "model.onnx")
    done.write_text(bundle.digest, encoding="utf-8")
    return folder


def _mend_tokenizer(folder: Path, longest: int) -> None:
    """FlashRank and fastembed read these files as they stand: no padding and no truncation but at the model's limit."""
    _change(folder / TOKENIZER, {"padding": None, "truncation": None})
    config = _change(folder / "tokenizer_config.json", {"max_length": longest, "model_max_length": longest})
    special = {name: token for name, token in config.items() if name.endswith("_token")}
    (folder / "special_tokens_map.json").write_text(json.dumps(special), encoding="utf-8")


def _change(path: Path, entries: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {**json.loads(path.read_text(encoding="utf-8")), **entries}
    path.write_text(json.dumps(changed), encoding="utf-8")
    return changed


class _Logits(nn.Module):
    """With the inputs in the order of their names below, and nothing but logits [rows, 1] out, as transformers' exports have them."""

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
        warnings.simplefilter("ignore")  # of shapes that a trace might fix; the score check would show it
        # The wrapper itself has to be in evaluation mode, too: the exporter sets the whole back to the mode in which it found it.
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
