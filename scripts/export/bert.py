"""BERT cross-encoders: loads a checkpoint, describes its pair encoding, writes its graph.

Knows the BERT family alone; does not know bundles, the parity check or where files end up.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, BertForSequenceClassification

from facade.bundle import PairEncoding
from scripts.bert.forward import logits

OPSET = 17  # the first with LayerNormalization as one node; every runtime in use reads it


@dataclass(frozen=True)
class BertCheckpoint:
    """A loaded cross-encoder whose weights have been rounded to fp16 and are held as fp32."""

    model: BertForSequenceClassification
    tokenizer: Any
    max_seq_len: int

    @property
    def pad_id(self) -> int:
        """The token id of padding."""
        return int(self.tokenizer.pad_token_id)

    @property
    def pair_encoding(self) -> PairEncoding:
        """[CLS] query [SEP] passage [SEP], segment 1 from the passage on."""
        cls_id, sep_id = int(self.tokenizer.cls_token_id), int(self.tokenizer.sep_token_id)
        return PairEncoding(before_query=(cls_id,), between=(sep_id,), after_passage=(sep_id,), segment_ids=True)


class LogitOnly(nn.Module):
    """The graph's signature: three INT64 [batch, sequence] inputs, one FP32 [batch] logit.

    Written as the project's own forward pass: attention is MatMul-Softmax-MatMul, which optimisers know, the mask has no guards around
    it, and the last layer is computed for the first token alone, all that the classifier reads.
    """

    def __init__(self, model: BertForSequenceClassification) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Logits, FP32 [batch], of the tokens, their mask (1: a token) and their segments."""
        return logits(self.model, input_ids, attention_mask, token_type_ids)


def load(folder: Path) -> BertCheckpoint:
    """Loads `folder`; raises ValueError for a checkpoint that is no BERT cross-encoder with one label."""
    model: Any = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    if model.config.num_labels != 1:
        raise ValueError(f"{folder} has {model.config.num_labels} labels; a reranker has one. Train it with num_labels=1.")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.to(torch.float16).to(torch.float32))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # A limit baked into tokenizer.json would cut or pad passages behind the server's back.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    return BertCheckpoint(model.eval(), tokenizer, int(model.config.max_position_embeddings))


def write_graph(checkpoint: BertCheckpoint, path: Path) -> None:
    """Writes the fp32 graph of `checkpoint`, batch and sequence dynamic.

    By the TorchScript exporter from eager attention: its graph is free of the guards against fully masked rows that
    the newer exporter puts around every softmax. 16 x 128 tokens on one core of an EPYC take 0.27 s against 0.34 s in
    onnxruntime, 0.25 s against 0.26 s in OpenVINO. Fixed reshapes, which let onnxruntime fuse more, made it slower.
    """
    example = torch.ones((2, 8), dtype=torch.int64)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "sequence"} for name in names} | {"logits": {0: "batch"}}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns that it is the older of two
        torch.onnx.export(
            LogitOnly(checkpoint.model).eval(),  # the exporter puts the wrapper's mode back, on the model too
            (example, example, torch.zeros_like(example)),
            str(path),
            input_names=names,
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
