"""How weights lie in a graph's file: as fp16 where that loses nothing, and in another graph's file where both have them.

A Cast to fp32 follows a weight that is stored as fp16: runtimes fold it while they load, so the computation stays fp32. What ONNX calls
external data lets a tensor name a file, a place in it and a length. OpenVINO and ONNX Runtime accept a graph as that file, since its
tensors lie in it as plain bytes (tests). Knows graphs, not models.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from scripts.export.checkpoint import ExportError

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


def share(borrower: Path, owner: Path, factors: Mapping[str, NDArray[np.float32]]) -> None:
    """Change the graph `borrower`: weights that `owner`, in the same folder, has under the same name are read from there.

    `factors`, FP32 [rows] by weight: what the borrower's rows are multiplied by. Weights may be stored as fp16 in `owner`. Raises
    ExportError where the two then still differ.
    """
    content = owner.read_bytes()
    owned = {tensor.name: tensor for tensor in onnx.load_from_string(content).graph.initializer}
    model = onnx.load(str(borrower))
    nodes: list[onnx.NodeProto] = []
    for tensor in model.graph.initializer:
        source = owned.get(tensor.name + HALVED) or owned.get(tensor.name)
        if source is None or np.prod(tensor.dims) < SMALLEST_ELEMENTS:
            continue
        name, factor = tensor.name, factors.get(tensor.name)
        steps = _steps(source, name, factor)
        expected = numpy_helper.to_array(source).astype(np.float32) * (1 if factor is None else factor[:, None])
        if not np.array_equal(expected, numpy_helper.to_array(tensor)):
            raise ExportError(f"the int8 graph has another {name} than the graph it was made of")
        place = content.find(source.raw_data)
        tensor.CopyFrom(_reference(source, name if not steps else steps[0].input[0], owner.name, place))
        if factor is not None:
            model.graph.initializer.append(numpy_helper.from_array(factor[:, None], f"{name}.factor"))
        nodes += steps
    for number, node in enumerate(nodes):
        model.graph.node.insert(number, node)
    borrower.write_bytes(model.SerializeToString())


def _steps(source: TensorProto, name: str, factor: NDArray[np.float32] | None) -> list[onnx.NodeProto]:
    """From what is stored to the weight `name`: to fp32 where it is fp16, then times its factor where it has one. Runtimes do both once."""
    steps = []
    stored = source.name
    if source.data_type == TensorProto.FLOAT16:
        exact = name if factor is None else f"{name}.exact"
        steps.append(helper.make_node("Cast", [stored], [exact], name=f"{name}.cast", to=TensorProto.FLOAT))
        stored = exact
    elif factor is not None:
        stored = f"{name}.exact"
    if factor is not None:
        steps.append(helper.make_node("Mul", [stored, f"{name}.factor"], [name], name=f"{name}.smoothed"))
    return steps


def _reference(source: TensorProto, name: str, file: str, place: int) -> TensorProto:
    reference = TensorProto(name=name, data_type=source.data_type, dims=source.dims, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", file), ("offset", place), ("length", len(source.raw_data))):
        reference.external_data.add(key=key, value=str(value))
    return reference
