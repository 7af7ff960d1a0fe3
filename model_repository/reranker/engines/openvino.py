"""OpenVINO on the CPU."""

from collections.abc import Mapping
from pathlib import Path

import openvino

from facade.tensors import Logits, Tokens

# Lanes of a vector of FP32. Softmax sums a row's last tokens apart where they fill no vector; rounding to int8 then turns a difference in
# the last bit into one of up to 0.14 of a logit. With whole vectors a logit is the same, bit for bit, in every company (measured).
LANES = 16


class OpenVinoEngine:
    """A compiled model with one inference request; shapes are dynamic, and kernels of shapes seen before are reused."""

    name = "openvino"

    def __init__(self, weights: Path, precision: str, threads: int) -> None:
        hint = openvino.Type.bf16 if precision == "bf16" else openvino.Type.f32
        self.precision = precision
        self.step = LANES if precision == "int8" else 1
        compiled = openvino.Core().compile_model(
            str(weights),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": hint,
                "INFERENCE_NUM_THREADS": threads,
                # One stream with all threads: micro-batches come one after the other.
                "PERFORMANCE_HINT": "LATENCY",
            },
        )
        self._inputs = frozenset(port.any_name for port in compiled.inputs)
        self._request = compiled.create_infer_request()

    def infer(self, inputs: Mapping[str, Tokens]) -> Logits:
        """Raw logits FP32 [rows]."""
        given = {name: array for name, array in inputs.items() if name in self._inputs}
        outputs = self._request.infer(given, share_inputs=True)
        logits: Logits = outputs[0].reshape(-1)
        return logits
