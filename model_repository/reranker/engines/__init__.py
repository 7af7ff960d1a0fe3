"""Engines: padded rows of one micro-batch -> logits. One module per runtime, one small interface, no Triton import.

Which engine runs is chosen once, at load: RERANKER_ENGINE names one, `auto` takes the first that this machine can run.
"""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from facade.settings import Settings
from facade.tensors import Logits, Tokens


class Engine(Protocol):
    """Runs one micro-batch at a time. `name` and `precision` are what metrics and logs call it."""

    name: str
    precision: str

    def infer(self, inputs: Mapping[str, Tokens]) -> Logits:
        """Raw logits FP32 [rows] of INT64 [rows, tokens] inputs named as in facade/tensors.py."""
        ...


def load_engine(weights: Path, settings: Settings) -> tuple[Engine, str]:
    """The engine for the ONNX graph `weights`, and the reason why it was chosen.

    Raises SettingsError where the chosen engine can't compute in the wanted precision.
    """
    threads = settings.threads or len(os.sched_getaffinity(0))
    name, reason = _choose(settings.engine)
    if name == "onnxruntime":
        from engines.onnxruntime import OnnxRuntimeEngine  # noqa: PLC0415 (an engine that isn't chosen need not be installed)

        return OnnxRuntimeEngine(weights, settings.precision, threads), reason
    from engines.openvino import OpenVinoEngine  # noqa: PLC0415

    return OpenVinoEngine(weights, settings.precision, threads), reason


def _choose(wanted: str) -> tuple[str, str]:
    if wanted != "auto":
        return wanted, f"RERANKER_ENGINE={wanted}"
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime  # noqa: PLC0415

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            return "onnxruntime", "a GPU build of ONNX Runtime is installed"
    return "openvino", "no GPU build of ONNX Runtime is installed, and OpenVINO is the fastest engine on a CPU"
