"""Which arithmetic a graph is drawn in. TensorRT 11 and later take it from the graph alone, so it can't be chosen afterwards.

Knows modules, not graphs. Norms, pooling and the head stay fp32 where a family computes them so; int8 is made of the fp32 graph.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from facade.reranking.bundle import INT8
from scripts.export.checkpoint import Checkpoint

DRAWN = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
PRECISIONS = (*DRAWN, INT8)


def lowered(checkpoint: Checkpoint, precision: str) -> Checkpoint:
    """The checkpoint with modules that compute in `precision`; its reference stays as it is, fp32."""
    kind = DRAWN.get(precision, torch.float32)
    if kind == torch.float32:
        return checkpoint
    images = checkpoint.images
    shown = replace(images, module=_lowered(images.module, kind)) if images else None
    return replace(checkpoint, module=_lowered(checkpoint.module, kind), images=shown)


def _lowered(module: nn.Module, kind: torch.dtype) -> nn.Module:
    """A copy whose part `model` has its parameters in `kind`. No second copy of them is made in fp32."""
    # Parameters alone: a module's buffers hold its rotary frequencies, which rounding puts a radian off some 500 tokens in.
    inner = module.get_submodule("model").parameters()
    converted: dict[int, Any] = {id(each): nn.Parameter(each.data.to(kind), requires_grad=each.requires_grad) for each in inner}
    return deepcopy(module, converted).eval()
