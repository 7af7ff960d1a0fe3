"""Draw a checkpoint's modules as ONNX graphs, rows, tokens and tiles dynamic. Knows exporters, not models."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from facade.reranking.tensors import ATTENTION_MASK, IMAGE_FEATURES, IMAGE_POSITIONS, INPUT_IDS, TOKEN_TYPE_IDS
from scripts.export.checkpoint import Checkpoint, ExportError, Images
from scripts.export.passes.own import OwnPass
from scripts.export.tensor_files import move_out

SCRIPT_OPSET = 17  # the first with LayerNormalization as one node; every runtime in use reads it
OPSET = 20  # from 23 on rotary embeddings become one node, which ONNX Runtime refuses for batches of more than one row
OUTPUT = "logits"
TILES, FEATURES = "tiles", "features"  # input and output of the vision graph
LARGEST_FILE = 1_800_000_000  # bytes; a graph with its weights inside can't exceed protobuf's 2 GiB
TOKENS = {0: "batch", 1: "sequence"}
# The dynamic axes of each input, by name.
AXES = {
    INPUT_IDS: TOKENS,
    ATTENTION_MASK: TOKENS,
    TOKEN_TYPE_IDS: TOKENS,
    IMAGE_FEATURES: {0: "features"},
    IMAGE_POSITIONS: {0: "features"},
    TILES: {0: "tiles"},
}


@dataclass(frozen=True)
class Drawing:
    """What to draw: a module, an example of each of its inputs, in their order, and the name of its output.

    `most`: the largest size of dynamic axes that have one, by name.
    """

    module: nn.Module
    example: Mapping[str, Tensor]
    output: str
    most: Mapping[str, int]


def write(checkpoint: Checkpoint, path: Path, largest_file: int = LARGEST_FILE) -> None:
    """Write the graph to `path`, and weights of more than `largest_file` bytes beside it to `path`.data."""
    _write(Drawing(checkpoint.module, _example(checkpoint), OUTPUT, {"sequence": checkpoint.max_seq_len}), path, largest_file)


def write_vision(images: Images, path: Path, largest_file: int = LARGEST_FILE) -> None:
    """Write the graph from tiles to features, likewise."""
    size = images.block.tile_size
    _write(Drawing(images.module, {TILES: torch.zeros((2, 3, size, size), dtype=torch.uint8)}, FEATURES, {}), path, largest_file)


def size_of(module: nn.Module) -> int:
    """Bytes of the weights."""
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


def _write(drawing: Drawing, path: Path, largest_file: int) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the exporters, about themselves
        bfloat16 = any(parameter.dtype == torch.bfloat16 for parameter in drawing.module.parameters())
        large = size_of(drawing.module) > largest_file
        if isinstance(drawing.module, OwnPass) and not bfloat16:  # the older exporter writes bfloat16 as complex128
            _script(drawing, path, external_data=large)
        else:
            _dynamo(drawing, path, external_data=large)
    for node in onnx.load(str(path), load_external_data=False).graph.input:
        shape = node.type.tensor_type.shape.dim
        if fixed := [name for axis, name in AXES[node.name].items() if not shape[axis].dim_param]:
            raise ExportError(f"the exporter fixed the shape of {node.name}: the module hides its {' and '.join(fixed)} from it")


def _script(drawing: Drawing, path: Path, *, external_data: bool) -> None:
    """By the TorchScript exporter: its graph is free of the guards against fully masked rows around every softmax.

    16 x 128 tokens on one core of an EPYC take 0.27 s against 0.34 s in onnxruntime, 0.25 s against 0.26 s in OpenVINO. Fixed reshapes,
    which let onnxruntime fuse more, made it slower. It writes weights over 2 GB to a file for each.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        drawn = Path(folder) / path.name if external_data else path
        _by_script(drawing, drawn)
        if external_data:
            move_out(drawn, path)


def _by_script(drawing: Drawing, path: Path) -> None:
    torch.onnx.export(
        **_arguments(drawing, path),
        dynamic_axes={name: AXES[name] for name in drawing.example} | {drawing.output: {0: "batch"}},
        opset_version=SCRIPT_OPSET,
        dynamo=False,
    )


def _dynamo(drawing: Drawing, path: Path, *, external_data: bool) -> None:
    names = {name for each in drawing.example for name in AXES[each].values()}
    axes = {name: torch.export.Dim(name, max=drawing.most.get(name)) for name in names}
    torch.onnx.export(
        **_arguments(drawing, path),
        dynamic_shapes=tuple({axis: axes[name] for axis, name in AXES[each].items()} for each in drawing.example),
        opset_version=OPSET,
        external_data=external_data,
        verbose=False,
        dynamo=True,
    )


def _arguments(drawing: Drawing, path: Path) -> dict[str, Any]:
    """The arguments that both exporters take."""
    return {
        "model": drawing.module,
        "args": tuple(drawing.example.values()),
        "f": str(path),
        "input_names": list(drawing.example),
        "output_names": [drawing.output],
    }


def _example(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Two rows of eight tokens; segments, where the family has them, are 0. No tensor twice: the exporter would make one input of both."""
    tensors = {
        INPUT_IDS: torch.ones((2, 8), dtype=torch.int64),
        ATTENTION_MASK: torch.ones((2, 8), dtype=torch.int64),
        TOKEN_TYPE_IDS: torch.zeros((2, 8), dtype=torch.int64),
        IMAGE_FEATURES: torch.zeros((4, checkpoint.images.width if checkpoint.images else 0)),
        IMAGE_POSITIONS: torch.arange(4),
    }
    return {name: tensors[name] for name in checkpoint.inputs}
