"""An fp32 graph -> a second one with int8 products, quantised statically. Knows graphs and tensors, no model and no text.

QuantizeLinear and DequantizeLinear stand around every product with a weight, as OpenVINO, ONNX Runtime and TensorRT read them. Scales are
symmetric, which TensorRT asks for, one for each column of a weight and one for each activation, and are fixed beforehand: a logit
does not depend on its batch mates. Weights stay as they are and are rounded while a runtime loads them, so that both graphs can share
them. Attention's products with each other, softmax, norms and the head stay fp32.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from scripts.export.checkpoint import ExportError
from scripts.export.smoothing import Batch, Factors, products, smooth


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> Batch | None:
        """The next batch, None after the last one."""
        return next(self._batches, None)


def quantise(path: Path, target: Path, batches: Sequence[Batch]) -> Factors:
    """Writes the graph at `path` with int8 products to `target`; returns what it multiplied the rows of which weight by.

    `batches`, inputs INT64 [rows, tokens] by name, show how large activations get. Raises ExportError for a graph without products with
    weights.
    """
    chosen = [node.name for nodes in products(onnx.load(str(path)).graph).values() for node in nodes]
    if not chosen:
        raise ExportError("the graph has no product with a weight that could be int8: export it in another precision")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        smoothed = Path(folder) / path.name
        shutil.copy(path, smoothed)
        factors = smooth(smoothed, batches)
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
