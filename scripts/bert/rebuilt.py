"""A bundle's graph -> the checkpoint that it was exported from, bit for bit.

Knows the BERT graphs of `scripts/export/graph.py`; the architecture is that of the base model's package.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import BertConfig, BertForSequenceClassification

from facade.reranking.bundle import WEIGHTS
from scripts.bert.base_model import base_folder


class RebuildError(Exception):
    """The checkpoint can't be rebuilt; the message names the missing parameters."""


def weights_of(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    """The model's parameters by their PyTorch names, FP32.

    Biases and embeddings keep their names in an export. A matrix loses its name and is transposed: it is named after the bias that is
    added to its product.
    """
    stored = {entry.name.removesuffix(".fp16"): numpy_helper.to_array(entry).astype(np.float32) for entry in graph.initializer}
    named = {name.removeprefix("model."): value for name, value in stored.items() if name.startswith("model.")}
    biases = {name: node for node in graph.node if node.op_type == "Add" for name in node.input if name.startswith("model.")}
    by_product = {other: bias for bias, node in biases.items() for other in node.input if other != bias}
    for node in graph.node:
        if node.op_type == "MatMul" and node.output[0] in by_product:
            bias = by_product[node.output[0]].removeprefix("model.")
            named[bias.removesuffix("bias") + "weight"] = stored[node.input[1]].T
    return named


def rebuild(folder: Path) -> BertForSequenceClassification:
    """The bundle's model in fp32, ready to score. Raises RebuildError if the graph lacks a parameter."""
    model: Any = BertForSequenceClassification(BertConfig.from_pretrained(base_folder(), num_labels=1))
    weights = {name: torch.from_numpy(value.copy()) for name, value in weights_of(onnx.load(str(folder / WEIGHTS)).graph).items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    lost = [name for name in missing if not name.endswith("position_ids")]
    if lost or unexpected:
        raise RebuildError(f"the graph is no export of this model: {lost} missing, {unexpected} unexpected")
    rebuilt: BertForSequenceClassification = model.eval()
    return rebuilt
