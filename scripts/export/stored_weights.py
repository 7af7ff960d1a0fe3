"""How weights lie in a graph's file: as fp16 where that loses nothing.

A Cast to fp32 follows a weight that is stored as fp16: runtimes fold it while they load, so the computation stays fp32. Knows graphs, not
models.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Smaller tensors (shapes, scale factors) save nothing and are often looked at by a runtime's pattern matching.
SMALLEST_ELEMENTS = 64
HALVED = ".fp16"  # ends the name of what is stored; the weight itself keeps its own


def halve(graph: onnx.ModelProto) -> int:
    """Change `graph` in place and returns how many weights are stored as fp16 now.

    A weight qualifies if every value survives fp32 -> fp16 -> fp32 unchanged; round the model's weights before the
    export and all of them do.
    """
    casts = []
    for initializer in graph.graph.initializer:
        if initializer.data_type != TensorProto.FLOAT or np.prod(initializer.dims) < SMALLEST_ELEMENTS:
            continue
        values = numpy_helper.to_array(initializer)
        with np.errstate(over="ignore"):
            halved = values.astype(np.float16)
        if not np.array_equal(halved.astype(np.float32), values):
            continue
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(halved, name=name + HALVED))
        casts.append(helper.make_node("Cast", [name + HALVED], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    for position, cast in enumerate(casts):
        graph.graph.node.insert(position, cast)
    return len(casts)
