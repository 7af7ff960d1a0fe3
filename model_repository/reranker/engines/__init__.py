"""Engines: padded rows of one micro-batch -> logits. One module per runtime, one small interface, no Triton import.

Which engine runs is chosen once, at load: RERANKER_ENGINE names one, `auto` takes the first that this machine can run.
"""

import importlib.util
import os
from collections.abc import Mapping
from typing import Protocol

from facade.bundle import WEIGHTS, Bundle
from facade.settings import Settings
from facade.tensors import Logits, Tokens

INT8 = "int8"


class Engine(Protocol):
    """Runs one micro-batch at a time. `name` and `precision` are what metrics and logs call it.

    `step`: rows come padded to a multiple of so many tokens, so that a logit doesn't depend on how far its row is padded.
    """

    name: str
    precision: str
    step: int

    def infer(self, inputs: Mapping[str, Tokens]) -> Logits:
        """Raw logits FP32 [rows] of INT64 [rows, tokens] inputs named as in facade/tensors.py."""
        ...


def load_engine(bundle: Bundle, settings: Settings) -> tuple[Engine, str]:
    """The engine for the bundle's graph, and the reason why it was chosen. An int8 graph stays int8 whatever precision is wanted.

    Raises SettingsError where the chosen engine can't compute in the wanted precision.
    """
    weights = bundle.folder / WEIGHTS
    precision = INT8 if bundle.manifest["precision"] == INT8 else settings.precision
    threads = settings.threads or len(os.sched_getaffinity(0))
    name, reason = _choose(settings.engine)
    if name == "onnxruntime":
        from engines.onnxruntime import OnnxRuntimeEngine  # noqa: PLC0415 (an engine that isn't chosen need not be installed)

        return OnnxRuntimeEngine(weights, precision, threads), reason
    from engines.openvino import OpenVinoEngine  # noqa: PLC0415

    return OpenVinoEngine(weights, precision, threads), reason


def _choose(wanted: str) -> tuple[str, str]:
    if wanted != "auto":
        return wanted, f"RERANKER_ENGINE={wanted}"
    if importlib.util.find_spec("onnxruntime") is not None:
        import onnxruntime  # noqa: PLC0415

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            return "onnxruntime", "a GPU build of ONNX Runtime is installed"
    return "openvino", "no GPU build of ONNX Runtime is installed, and OpenVINO is the fastest engine on a CPU"
