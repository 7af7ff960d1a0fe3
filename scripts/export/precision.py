"""Which arithmetic a graph is drawn in. TensorRT 11 and later take it from the graph alone, so it can't be chosen afterwards.

Knows modules, not graphs. Norms, pooling and the head stay fp32 where a family computes them so; int8 is made of the fp32 graph.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch

from facade.reranking.bundle import INT8
from scripts.export.checkpoint import Checkpoint

DRAWN = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
PRECISIONS = (*DRAWN, INT8)


def lowered(checkpoint: Checkpoint, precision: str) -> Checkpoint:
    """The checkpoint with a module that computes in `precision`; its reference stays as it is, fp32."""
    kind = DRAWN.get(precision, torch.float32)
    if kind == torch.float32:
        return checkpoint
    module = deepcopy(checkpoint.module)
    # Parameters alone: a module's buffers hold its rotary frequencies, which rounding puts a radian off some 500 tokens in.
    for parameter in module.get_submodule("model").parameters():
        parameter.data = parameter.data.to(kind)
    return replace(checkpoint, module=module.eval())
