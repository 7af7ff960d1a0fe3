"""Engines: padded rows of one micro-batch -> logits. One module per runtime, one small interface, no Triton import.

Which engine runs is chosen once, at load: RERANKER_ENGINE names one, `auto` takes the first that this machine can run.
"""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from facade.errors import SettingsError
from facade.tensors import Logits, Tokens

PRECISIONS = ("fp32", "bf16")


class Engine(Protocol):
    """Runs one micro-batch at a time. `name` and `precision` are what metrics and logs call it."""

    name: str
    precision: str

    def infer(self, inputs: Mapping[str, Tokens]) -> Logits:
        """Raw logits FP32 [rows] of INT64 [rows, tokens] inputs named as in facade/tensors.py."""
        ...


def load_engine(weights: Path, environment: Mapping[str, str] = os.environ) -> tuple[Engine, str]:
    """The engine for the ONNX graph `weights`, and the reason why it was chosen.

    RERANKER_ENGINE: auto, openvino or onnxruntime. RERANKER_PRECISION: fp32 (default: scores equal the reference), or bf16, which is up to
    twice as fast where the processor has bf16 units. RERANKER_THREADS: default all cores this process may use.
    Raises SettingsError for a value that can't be used.
    """
    wanted = environment.get("RERANKER_ENGINE", "auto").lower()
    precision = environment.get("RERANKER_PRECISION", "fp32").lower()
    if precision not in PRECISIONS:
        raise SettingsError(f"RERANKER_PRECISION={precision}: expected one of {', '.join(PRECISIONS)}")
    try:
        threads = int(environment.get("RERANKER_THREADS") or len(os.sched_getaffinity(0)))
    except ValueError:
        raise SettingsError("RERANKER_THREADS: expected a number of threads") from None
    name, reason = _choose(wanted)
    if name == "onnxruntime":
        from engines.onnxruntime import OnnxRuntimeEngine  # noqa: PLC0415 (an engine that isn't chosen need not be installed)

        return OnnxRuntimeEngine(weights, precision, threads), reason
    from engines.openvino import OpenVinoEngine  # noqa: PLC0415

    return OpenVinoEngine(weights, precision, threads), reason


def _choose(wanted: str) -> tuple[str, str]:
    if wanted in {"openvino", "onnxruntime"}:
        return wanted, f"RERANKER_ENGINE={wanted}"
    if wanted != "auto":
        raise SettingsError(f"RERANKER_ENGINE={wanted}: expected auto, openvino or onnxruntime")
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime  # noqa: PLC0415

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            return "onnxruntime", "a GPU build of ONNX Runtime is installed"
    return "openvino", "no GPU build of ONNX Runtime is installed, and OpenVINO is the fastest engine on a CPU"
