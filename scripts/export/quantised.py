"""Quantise an fp32 graph statically into a second graph with int8 products. Knows graphs and tensors, neither models nor texts.

QuantizeLinear and DequantizeLinear stand around every product with a weight, as OpenVINO, ONNX Runtime and TensorRT read them. Scales are
symmetric, which TensorRT asks for, one for each column of a weight and one for each activation, and are fixed beforehand: a logit
does not depend on its batch mates. Attention's products with each other, softmax, norms and the head stay fp32.

Before that, activations are evened out as SmoothQuant does it (Xiao et al. 2022): a few channels are many times as large as the others
and would take all of int8's steps. Such a channel is divided by a factor and its row of the weight multiplied by it, so the graph
computes the same.

Weights are written as int8, and so is a vocabulary's table, with a scale for each of its rows. They lie beside the graph in a file that
runtimes map into memory. Weights are read and written one by one, so peak memory is that of the largest weight.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from scripts.export.checkpoint import ExportError
from scripts.export.tensor_files import OwnFile, values_of

# How much of a channel's excess over the median channel goes to the weight, as a power of it. On MiniLM, int8 moved logits by 0.153 on
# average without smoothing, by 0.065 with 0.5 and by 0.071 with 0.75. The paper's own scale, which also looks at the weight's rows,
# made it worse: rows of the feed-forward's second matrix are uneven themselves.
STRENGTH = 0.5
Batch = Mapping[str, NDArray[np.int64]]
SMALLEST = 1e-5  # keeps a dead activation from dividing by zero
STEPS = 127  # of int8 on either side of zero
VOCABULARY = 10_000  # rows of a table from which on it is stored as int8; smaller ones save little
ZERO = "int8.zero"


def quantise(path: Path, target: Path, batches: Sequence[Batch]) -> None:
    """Write the graph at `path` with int8 products to `target`, and its weights beside it to `target`.data.

    `batches`, inputs INT64 [rows, tokens] by name, show how large activations get. Raises ExportError for a graph without products with
    weights.
    """
    model = onnx.load(str(path), load_external_data=False)
    found = _products(model.graph)
    if not found:
        raise ExportError("the graph has no product with a weight that could be int8: export it in another precision")
    largest = _largest(path, list(found), batches)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = list(model.graph.node)
    with OwnFile(target.with_name(f"{target.name}.data")) as file:
        written = _NewWeights(stored, path.parent, file)
        for number, (activation, products) in enumerate(found.items()):
            typical = max(float(np.median(largest[activation])), SMALLEST)
            factors = (np.maximum(largest[activation] / typical, 1.0) ** STRENGTH).astype(np.float32)
            step = max(float((largest[activation] / factors).max()), SMALLEST) / STEPS
            before = written.activation(f"int8.{number}", activation, factors, step)
            for product in products:
                before += written.matrix(product, factors)
                product.input[0] = f"int8.{number}"
            _insert(nodes, products[0], before)
        for table, readers in _tables(nodes, stored).items():
            for node in readers:
                place = next(place for place, each in enumerate(nodes) if each is node)
                nodes[place : place + 1] = written.taken(node, table)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        kept = [written.kept(tensor) for tensor in model.graph.initializer if _is_read(tensor.name, nodes)]
        del model.graph.initializer[:]
        model.graph.initializer.extend([*kept, *written.made])
    target.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(target))


class _NewWeights:
    """What becomes of a graph's weights: `made` are the new tensors, whose bytes go to `file`. `stored`: the old ones, out of `folder`."""

    def __init__(self, stored: Mapping[str, TensorProto], folder: Path, file: OwnFile) -> None:
        self._stored, self._folder, self._file = stored, folder, file
        self.made: list[TensorProto] = [numpy_helper.from_array(np.zeros((), np.int8), ZERO)]

    def activation(self, name: str, source: str, factors: NDArray[np.float32], step: float) -> list[onnx.NodeProto]:
        """Nodes from `source` to `name`: divided by `factors`, FP32 [channels], and rounded to multiples of `step`."""
        self.made += [
            numpy_helper.from_array(1 / factors, f"{name}.factor"),
            numpy_helper.from_array(np.float32(step).reshape(()), f"{name}.step"),
        ]
        return [
            helper.make_node("Mul", [source, f"{name}.factor"], [f"{name}.smoothed"], name=f"{name}.smoothed"),
            helper.make_node("QuantizeLinear", [f"{name}.smoothed", f"{name}.step", ZERO], [f"{name}.rounded"], name=f"{name}.rounded"),
            helper.make_node("DequantizeLinear", [f"{name}.rounded", f"{name}.step", ZERO], [name], name=name),
        ]

    def matrix(self, product: onnx.NodeProto, factors: NDArray[np.float32]) -> list[onnx.NodeProto]:
        """The node that gives `product` its matrix [in, out] out of int8, its rows multiplied by `factors`, with a step for each column."""
        name = product.input[1]
        product.input[1] = f"{name}.int8.{product.name}"
        values = values_of(self._stored[name], self._folder).astype(np.float32) * factors[:, None]
        steps = _steps(values, axis=0)
        made = product.input[1]
        self._int8(f"{made}.rounded", values, steps)
        self.made += [
            numpy_helper.from_array(steps.astype(np.float32), f"{made}.steps"),
            numpy_helper.from_array(np.zeros(len(steps), np.int8), f"{made}.zeros"),
        ]
        return [helper.make_node("DequantizeLinear", [f"{made}.rounded", f"{made}.steps", f"{made}.zeros"], [made], name=made, axis=1)]

    def taken(self, node: onnx.NodeProto, name: str) -> list[onnx.NodeProto]:
        """Nodes in place of `node`, which takes rows of the table `name`: they take int8 rows and the step of each."""
        if not any(tensor.name == f"{name}.rounded" for tensor in self.made):
            values = values_of(self._stored[name], self._folder).astype(np.float32)
            steps = _steps(values, axis=1)[:, None]
            self._int8(f"{name}.rounded", values, steps)
            self.made.append(self._file.tensor(f"{name}.steps", steps.astype(np.float32)))
        own = node.output[0]
        return [
            helper.make_node("Gather", [f"{name}.rounded", node.input[1]], [f"{own}.rounded"], name=f"{own}.rounded"),
            helper.make_node("Cast", [f"{own}.rounded"], [f"{own}.numbers"], name=f"{own}.numbers", to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}.steps", node.input[1]], [f"{own}.steps"], name=f"{own}.steps"),
            helper.make_node("Mul", [f"{own}.numbers", f"{own}.steps"], [own], name=node.name),
        ]

    def kept(self, tensor: TensorProto) -> TensorProto:
        """The unchanged tensor, stored with the new graph."""
        return self._file.tensor(tensor.name, values_of(tensor, self._folder))

    def _int8(self, name: str, values: NDArray[np.float32], steps: NDArray[np.float32]) -> None:
        values /= steps
        self.made.append(self._file.tensor(name, np.rint(values, out=values).clip(-STEPS, STEPS).astype(np.int8)))


def _steps(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The width of int8's steps along an axis that is gone in the result; never 0, so that zeros stay zeros."""
    steps: NDArray[np.float32] = np.maximum(np.abs(values).max(axis=axis), SMALLEST * STEPS * SMALLEST) / STEPS
    return steps


def _products(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The products with a weight matrix, by the activation that goes into them: query, key and value share theirs."""
    matrices = {weight.name for weight in graph.initializer if len(weight.dims) == 2}
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in matrices:
            found.setdefault(node.input[0], []).append(node)
    return found


def _tables(nodes: Sequence[onnx.NodeProto], stored: Mapping[str, TensorProto]) -> dict[str, list[onnx.NodeProto]]:
    """The tables of a vocabulary, and the nodes that take rows of them; a table that anything else reads is not among them."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        if node.op_type == "Gather" and node.input[0] in stored and not any(entry.i for entry in node.attribute):
            found.setdefault(node.input[0], []).append(node)
    readers = [name for node in nodes for name in node.input]
    return {
        name: each
        for name, each in found.items()
        if len(stored[name].dims) == 2 and stored[name].dims[0] >= VOCABULARY and readers.count(name) == len(each)
    }


def _largest(path: Path, names: Sequence[str], batches: Sequence[Batch]) -> dict[str, NDArray[np.float32]]:
    """The largest magnitude of each channel of the named activations, FP32 [channels]; padding is left out, since nothing reads it."""
    watched = onnx.load(str(path), load_external_data=False)
    watched.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".onnx") as file:  # beside the weights that it refers to
        file.write(watched.SerializeToString())
        file.flush()
        session = onnxruntime.InferenceSession(file.name, providers=["CPUExecutionProvider"])
    largest: dict[str, NDArray[np.float32]] = {}
    for batch in batches:
        kept = batch["attention_mask"].astype(bool)
        for name, values in zip(names, session.run(list(names), dict(batch)), strict=True):
            tokens = values[kept] if values.shape[:2] == kept.shape else values.reshape(-1, values.shape[-1])
            found = np.abs(tokens).max(axis=0)
            largest[name] = np.maximum(largest[name], found) if name in largest else found
    return largest


def _insert(nodes: list[onnx.NodeProto], reader: onnx.NodeProto, before: Sequence[onnx.NodeProto]) -> None:
    place = next(place for place, node in enumerate(nodes) if node is reader)
    nodes[place:place] = before


def _is_read(name: str, nodes: Sequence[onnx.NodeProto]) -> bool:
    return any(name in node.input for node in nodes)
