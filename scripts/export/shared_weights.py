"""Has one graph take its weights out of another one's file, so that they lie on disk once. Knows graphs, not models.

ONNX calls it external data: a tensor names a file, a place in it and a length. That the file is itself a graph, whose tensors lie in it as
plain bytes, no runtime minds (OpenVINO and ONNX Runtime: tests).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from scripts.export.checkpoint import ExportError
from scripts.export.half_weights import HALVED, SMALLEST_ELEMENTS


def share(borrower: Path, owner: Path, factors: Mapping[str, NDArray[np.float32]]) -> None:
    """Changes the graph `borrower`: weights that `owner`, in the same folder, has under the same name are read from there.

    `factors`, FP32 [rows] by weight: what the borrower's rows are multiplied by. Weights may be stored as fp16 in `owner`
    (scripts/export/half_weights.py). Raises ExportError where the two then still don't agree.
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
