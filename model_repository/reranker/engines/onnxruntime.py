"""ONNX Runtime: CUDA where its GPU build and a device are present, else the CPU."""

from collections.abc import Mapping
from pathlib import Path

import onnxruntime

from facade.errors import SettingsError
from facade.tensors import Logits, Tokens


class OnnxRuntimeEngine:
    """A session with dynamic shapes."""

    name = "onnxruntime"
    step = 1

    def __init__(self, weights: Path, precision: str, threads: int) -> None:
        if precision not in {"fp32", "int8"}:
            raise SettingsError(f"RERANKER_PRECISION={precision}: the onnxruntime engine computes in fp32, as the graph says")
        self.precision = precision
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # The arena keeps the largest shape it ever saw; with shapes that vary it only grows.
        options.enable_cpu_mem_arena = False
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [provider for provider in wanted if provider in onnxruntime.get_available_providers()]
        self._session = onnxruntime.InferenceSession(str(weights), options, providers=providers)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())

    def infer(self, inputs: Mapping[str, Tokens]) -> Logits:
        """Raw logits FP32 [rows]."""
        given = {name: array for name, array in inputs.items() if name in self._inputs}
        logits: Logits = self._session.run(None, given)[0].reshape(-1)
        return logits
