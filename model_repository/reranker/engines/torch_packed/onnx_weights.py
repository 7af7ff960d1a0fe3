"""A bundle's graph to its weights by their names in PyTorch. Each is read from disk when it is taken.

An exporter keeps some names, folds transposes into matrices and stores equal tensors once. What is left of the names: in the TorchScript
exporter's graphs a matrix is named by the bias that is added to its product; in the dynamo exporter's each node says which module it came
from. Knows graphs, no model.
"""

import ast
import mmap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch
from torch import Tensor

from facade.errors import SettingsError

TYPES: dict[int, torch.dtype] = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.BFLOAT16: torch.bfloat16,
}
SCOPES = "pkg.torch.onnx.name_scopes"  # a node's modules, outermost first, and its own name last
PASSED_ON = ("Cast", "Identity")  # operations that keep a weight's values
# Inputs of a node that are weights of its module, and their names there.
ROLES: dict[str, dict[int, str]] = {
    "Gather": {0: "weight"},
    "LayerNormalization": {1: "weight", 2: "bias"},
    "RMSNormalization": {1: "weight"},
    "Mul": {0: "weight", 1: "weight"},
    "MatMul": {1: "weight"},
    "Gemm": {1: "weight", 2: "bias"},
    "Add": {0: "bias", 1: "bias"},
}


@dataclass(frozen=True)
class Stored:
    """Where a weight lies, and whether it lies there transposed."""

    tensor: onnx.TensorProto
    transposed: bool = False


class GraphWeights(Mapping[str, Tensor]):
    """Weights by name; a tensor is made when it is taken, of memory that the file's pages back where it lies outside of the graph."""

    def __init__(self, folder: Path, stored: Mapping[str, Stored]) -> None:
        self._folder = folder
        self._stored = stored
        self._files: dict[str, mmap.mmap] = {}

    def __getitem__(self, name: str) -> Tensor:
        stored = self._stored[name]
        tensor = self._read(stored.tensor)
        return tensor.T if stored.transposed else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def _read(self, tensor: onnx.TensorProto) -> Tensor:
        kind, shape = TYPES[tensor.data_type], tuple(tensor.dims)
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            count = torch.Size(shape).numel()
            return torch.frombuffer(self._file(place["location"]), dtype=kind, count=count, offset=int(place.get("offset", 0))).view(shape)
        return torch.frombuffer(bytearray(tensor.raw_data), dtype=kind).view(shape)

    def _file(self, name: str) -> mmap.mmap:
        if name not in self._files:
            with (self._folder / name).open("rb") as file:
                self._files[name] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # torch wants memory that could be written
        return self._files[name]


def read_weights(path: Path, prefix: str, axes: Collection[int] = (1, 2)) -> GraphWeights:
    """The weights in the graph at `path`, `prefix` taken off their names. `axes`: numbers of axes that a weight may have.

    Raises SettingsError for a graph without such weights.
    """
    graph = onnx.load(str(path), load_external_data=False).graph
    found = {name.removeprefix(prefix): stored for name, stored in _named(graph, axes).items()}
    if not found:
        raise SettingsError(f"{path} holds no weights that can be recognised by name: export the model again with `make export-model`")
    return GraphWeights(path.parent, found)


def _named(graph: onnx.GraphProto, axes: Collection[int]) -> dict[str, Stored]:
    stored = _stored(graph, axes)
    named = {name: value for name, value in stored.items() if name.endswith((".weight", ".bias"))}
    added = {name: other for node in graph.node if node.op_type == "Add" for name, other in (node.input, reversed(node.input))}
    for node in graph.node:
        for place, role in ROLES.get(node.op_type, {}).items():
            if place >= len(node.input) or node.input[place] not in stored:
                continue
            module = _module(node) or _module_by_bias(added.get(node.output[0], ""))
            if module is None:
                module = node.input[place].removesuffix(f".{role}")  # a parameter of the outermost module keeps its name
            value = stored[node.input[place]]
            named[f"{module}.{role}"] = replace(value, transposed=value.transposed != _is_transposed(node, role))
    return named


def _stored(graph: onnx.GraphProto, axes: Collection[int]) -> dict[str, Stored]:
    """Floating-point weights by every name under which the graph's nodes read them."""
    found = {tensor.name: Stored(tensor) for tensor in graph.initializer if tensor.data_type in TYPES and len(tensor.dims) in axes}
    for node in graph.node:
        source = found.get(node.input[0]) if node.input else None
        if source and node.op_type in PASSED_ON:
            found[node.output[0]] = source
        elif source and node.op_type == "Transpose" and len(source.tensor.dims) == 2:
            found[node.output[0]] = replace(source, transposed=not source.transposed)
    return found


def _module(node: onnx.NodeProto) -> str | None:
    """The module that a node of the dynamo exporter came from."""
    stated = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), None)
    scopes = ast.literal_eval(stated) if stated else []
    return scopes[-2] if scopes[1:] and scopes[-2] else None


def _module_by_bias(name: str) -> str | None:
    return name.removesuffix(".bias") if name.endswith(".bias") else None


def _is_transposed(node: onnx.NodeProto, role: str) -> bool:
    """Whether the node wants its weight as [in, out], where PyTorch has [out, in]."""
    if role != "weight":
        return False
    return node.op_type == "MatMul" or (node.op_type == "Gemm" and not any(entry.name == "transB" and entry.i for entry in node.attribute))
