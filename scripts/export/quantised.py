"""An fp32 graph -> a second one with int8 products, quantised statically. Knows graphs and tensors, neither models nor texts.

QuantizeLinear and DequantizeLinear stand around every product with a weight, as OpenVINO, ONNX Runtime and TensorRT read them. Scales are
symmetric, which TensorRT asks for, one for each column of a weight and one for each activation, and are fixed beforehand: a logit
does not depend on its batch mates. Weights stay as they are and are rounded while a runtime loads them, so that both graphs can share
them. Attention's products with each other, softmax, norms and the head stay fp32.

Before that, activations are evened out as SmoothQuant does it (Xiao et al. 2022): a few channels are many times as large as the others
and would take all of int8's steps. Such a channel is divided by a factor and its row of the weight multiplied by it, so the graph
computes the same.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from scripts.export.checkpoint import ExportError

# How much of a channel's excess over the median channel goes to the weight, as a power of it. On MiniLM, int8 moved logits by 0.153 on
# average without smoothing, by 0.065 with 0.5 and by 0.071 with 0.75. The paper's own scale, which also looks at the weight's rows,
# made it worse: rows of the feed-forward's second matrix are uneven themselves.
STRENGTH = 0.5
Batch = Mapping[str, NDArray[np.int64]]
Factors = dict[str, NDArray[np.float32]]  # weight -> what its rows were multiplied by
SMALLEST = 1e-5  # keeps a dead activation from dividing by zero


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Batch | None:
        """The next batch, None after the last one."""
        return next(self._batches, None)


def quantise(path: Path, target: Path, batches: Sequence[Batch]) -> Factors:
    """Write the graph at `path` with int8 products to `target`; return the factors of the rows of each weight.

    `batches`, inputs INT64 [rows, tokens] by name, show how large activations get. Raises ExportError for a graph without products with
    weights.
    """
    chosen = [node.name for nodes in _products(onnx.load(str(path)).graph).values() for node in nodes]
    if not chosen:
        raise ExportError("the graph has no product with a weight that could be int8: export it in another precision")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        smoothed = Path(folder) / path.name
        shutil.copy(path, smoothed)
        factors = _smooth(smoothed, batches)
        before = logging.root.level
        logging.root.setLevel(logging.ERROR)  # it recommends optimisations of its own, which runtimes then no longer recognise
        try:
            quantize_static(
                smoothed,
                target,
                _Reader(batches),
                quant_format=QuantFormat.QDQ,
                nodes_to_quantize=chosen,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "AddQDQPairToWeight": True,
                    "OpTypesToExcludeOutputQuantization": ["MatMul"],
                },
            )
        finally:
            logging.root.setLevel(before)
    return factors


def _smooth(path: Path, batches: Sequence[Batch]) -> Factors:
    """Change the graph at `path`; `batches`, inputs INT64 [rows, tokens] by name, show how large its activations get."""
    model = onnx.load(str(path))
    found = _products(model.graph)
    largest = _largest(model, list(found), batches)
    factors: Factors = {}
    for number, (activation, nodes) in enumerate(found.items()):
        typical = max(float(np.median(largest[activation])), SMALLEST)
        scale = np.maximum(largest[activation] / typical, 1.0) ** STRENGTH
        _divide(model.graph, f"smoothed.{number}", activation, nodes, scale.astype(np.float32))
        factors.update((node.input[1], scale.astype(np.float32)) for node in nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return factors


def _products(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The products with a weight matrix, by the activation that goes into them: query, key and value share theirs."""
    matrices = {weight.name for weight in graph.initializer if len(weight.dims) == 2}
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in matrices:
            found.setdefault(node.input[0], []).append(node)
    return found


def _largest(model: onnx.ModelProto, names: Sequence[str], batches: Sequence[Batch]) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude of each channel of the named activations, FP32 [channels]; padding is left out, since nothing reads it."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    largest: dict[str, NDArray[np.float32]] = {}
    for batch in batches:
        kept = batch["attention_mask"].astype(bool)
        for name, values in zip(names, session.run(list(names), dict(batch)), strict=True):
            tokens = values[kept] if values.shape[:2] == kept.shape else values.reshape(-1, values.shape[-1])
            found = np.abs(tokens).max(axis=0)
            largest[name] = np.maximum(largest[name], found) if name in largest else found
    return largest


def _divide(graph: onnx.GraphProto, name: str, activation: str, nodes: Sequence[onnx.NodeProto], scale: NDArray[np.float32]) -> None:
    """Divide the activation by `scale`, FP32 [channels], on its way into `nodes`, and multiply their weights' rows by it."""
    weights = {weight.name: weight for weight in graph.initializer}
    place = next(place for place, node in enumerate(graph.node) if node == nodes[0])
    graph.initializer.append(numpy_helper.from_array(1 / scale, f"{name}.factor"))
    for node in nodes:
        weight = weights[node.input[1]]
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * scale[:, None], weight.name))
        node.input[0] = name
    graph.node.insert(place, helper.make_node("Mul", [activation, f"{name}.factor"], [name], name=name))
