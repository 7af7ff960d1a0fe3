"""A graph in a runtime that computes what it says. Knows graphs and arrays, no bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnxruntime
import openvino
from numpy.typing import NDArray

# A graph's inputs by name to its only output.
Run = Callable[[Mapping[str, NDArray[Any]]], NDArray[Any]]


def load(graph: Path, precision: str) -> tuple[Run, set[str]]:
    """What computes the graph, and the names of its inputs: OpenVINO for bf16, for which ONNX Runtime has no kernels on a CPU."""
    return _openvino(graph) if precision == "bf16" else _onnxruntime(graph)


def _onnxruntime(graph: Path) -> tuple[Run, set[str]]:
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        output: NDArray[Any] = session.run(None, inputs)[0]
        return output

    return run, {node.name for node in session.get_inputs()}


def _openvino(graph: Path) -> tuple[Run, set[str]]:
    compiled = openvino.Core().compile_model(str(graph), "CPU", {"INFERENCE_PRECISION_HINT": openvino.Type.bf16})

    def run(inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        output: NDArray[Any] = compiled(dict(inputs))[0]
        return output.copy()

    return run, {port.any_name for port in compiled.inputs}
