"""Draw a checkpoint's module as an ONNX graph, batch and sequence dynamic. Knows exporters, not models."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families.encoder import BertClassifier

SCRIPT_OPSET = 17  # the first with LayerNormalization as one node; every runtime in use reads it
OPSET = 20  # from 23 on rotary embeddings become one node, which ONNX Runtime refuses for batches of more than one row
OUTPUT = "logits"
LARGEST_FILE = 1_800_000_000  # bytes; a graph with its weights inside can't exceed protobuf's 2 GiB


def write(checkpoint: Checkpoint, path: Path, largest_file: int = LARGEST_FILE) -> None:
    """Write the graph to `path`, and weights of more than `largest_file` bytes beside it to `path`.data."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporters, about themselves
        bfloat16 = any(parameter.dtype == torch.bfloat16 for parameter in checkpoint.module.parameters())
        if isinstance(checkpoint.module, BertClassifier) and not bfloat16:  # the older exporter writes bfloat16 as complex128
            _script(checkpoint, path)
        else:
            _dynamo(checkpoint, path, external_data=size_of(checkpoint.module) > largest_file)
    for node in onnx.load(str(path), load_external_data=False).graph.input:
        if not all(axis.dim_param for axis in node.type.tensor_type.shape.dim):
            raise ExportError(
                f"the exporter fixed a shape of {node.name}: the module of {checkpoint.family} hides its batch or sequence from it"
            )


def size_of(module: nn.Module) -> int:
    """Bytes of the weights."""
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


def _script(checkpoint: Checkpoint, path: Path) -> None:
    """By the TorchScript exporter: its graph is free of the guards against fully masked rows around every softmax.

    16 x 128 tokens on one core of an EPYC take 0.27 s against 0.34 s in onnxruntime, 0.25 s against 0.26 s in OpenVINO. Fixed reshapes,
    which let onnxruntime fuse more, made it slower.
    """
    torch.onnx.export(
        **_arguments(checkpoint, path),
        dynamic_axes={name: {0: "batch", 1: "sequence"} for name in checkpoint.inputs} | {OUTPUT: {0: "batch"}},
        opset_version=SCRIPT_OPSET,
        dynamo=False,
    )


def _dynamo(checkpoint: Checkpoint, path: Path, *, external_data: bool) -> None:
    batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence", max=checkpoint.max_seq_len)
    torch.onnx.export(
        **_arguments(checkpoint, path),
        dynamic_shapes=tuple({0: batch, 1: sequence} for _ in checkpoint.inputs),
        opset_version=OPSET,
        external_data=external_data,
        verbose=False,
        dynamo=True,
    )


def _arguments(checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    """The arguments that both exporters take."""
    return {
        "model": checkpoint.module,
        "args": _example(checkpoint),
        "f": str(path),
        "input_names": list(checkpoint.inputs),
        "output_names": [OUTPUT],
    }


def _example(checkpoint: Checkpoint) -> tuple[torch.Tensor, ...]:
    """Two rows of eight tokens; segments, where the family has them, are 0. No tensor twice: the exporter would make one input of both."""
    tensors = (torch.ones((2, 8), dtype=torch.int64), torch.ones((2, 8), dtype=torch.int64), torch.zeros((2, 8), dtype=torch.int64))
    return tensors[: len(checkpoint.inputs)]
