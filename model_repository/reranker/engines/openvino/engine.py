"""OpenVINO on the CPU: how a model is compiled and fed. exact_head.py and packed.py change its graph."""

import os
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino

from facade.config.engine_settings import EngineSettings
from facade.reranking.bundle import INT8, Bundle
from facade.reranking.tensors import ATTENTION_MASK, IMAGE_FEATURES, Logits, Row, check_inputs, padded_length
from reranker.engines.engine import AUTO
from reranker.engines.graph_inputs import graph_inputs
from reranker.engines.machine import Machine
from reranker.engines.openvino.exact_head import keep_exact
from reranker.engines.openvino.packed import filled_up, pack_products, places
from reranker.engines.openvino.vision import OpenVinoVision

# Lanes of a vector of FP32. Softmax sums a row's last tokens separately where they fill no vector; rounding to int8 then turns a difference
# in the last bit into one of up to 0.14 of a logit. With whole vectors a logit is the same, bit for bit, in any batch (measured). They also
# mean fewer shapes to compile kernels for, and faster kernels, so packed products are filled up to them, too.
LANES = 16
# Bytes of weights up to which every core computes batches of its own. Cores that share a batch wait for each other dozens of times in a few
# milliseconds. For larger models these waits are short beside the work, and one core would take seconds for a pair.
SMALL_MODEL = 200_000_000
# Compiled kernels in OpenVINO's cache for each stream, and in oneDNN's for all. With the defaults, 5,000 and 1,024, rare shapes let memory
# grow for hours. With either at 200, throughput over mixed lengths is 2 to 3 % above that at 100, with both 4 %; more gain nothing.
# MiniLM-L6 in int8 then takes 340 MB instead of 285 (and 385 with 2,000 of each).
CACHED_KERNELS = 200
# Tokens. With packed products padding costs a quarter: 200 was 3 % faster than 48 over HTTP, and 600 no faster than 200. Without them, 16
# to 100 are equal.
PACKED_BATCH_COST, BATCH_COST = 200, 48


def load(bundle: Bundle, settings: EngineSettings, machine: Machine) -> "OpenVinoEngine":
    """The bundle in the wanted precision, by default int8 where it has an int8 graph. Raises BundleError where it lacks the precision.

    Sets the size of oneDNN's kernel cache for the whole process: OpenVINO has no property for it, and oneDNN reads it once, before its
    first kernel.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(CACHED_KERNELS))
    own = INT8 if INT8 in bundle.precisions else bundle.manifest["precision"]
    return OpenVinoEngine(bundle, own if settings.precision == AUTO else settings.precision, settings.threads or machine.cores)


class OpenVinoEngine:
    """A compiled model, and an inference request for each stream; kernels of shapes seen before are reused.

    With int8, operations between products are in bf16 where the processor has it. Where `packable` proves that attention alone mixes
    tokens, all other products are computed without padding; other graphs are unchanged.
    """

    name = "openvino"
    step = LANES
    token_budget = 1024  # larger ones are hardly faster, and a small call may have to wait for one
    # One core takes some 10 us for a token. So a call of 4 passages overtakes one of 30 that came up to a third of a second earlier, and no
    # call is overtaken by later ones than that.
    patience_s = 0.0001

    def __init__(self, bundle: Bundle, precision: str, threads: int) -> None:
        self.precision = precision
        self._bundle = bundle
        core = openvino.Core()
        self.streams = threads if bundle.weight_bytes() <= SMALL_MODEL else 1
        lowered = precision == "bf16" or (precision == INT8 and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        options = {
            "INFERENCE_PRECISION_HINT": openvino.Type.bf16 if lowered else openvino.Type.f32,
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": self.streams,
            # Pinned threads of two processes on one machine choose the same cores.
            "ENABLE_CPU_PINNING": False,
            "CPU_RUNTIME_CACHE_CAPACITY": CACHED_KERNELS,
        }
        with bundle.loadable(precision) as graph:
            model = core.read_model(str(graph))
            check_inputs([name for port in model.inputs for name in port.names], bundle)  # OpenVINO would compute with a missing input
            if lowered:
                keep_exact(model)
            self._packed = pack_products(model)
            compiled = core.compile_model(model, "CPU", options)
        self.batch_cost = PACKED_BATCH_COST if self._packed else BATCH_COST
        self.vision = OpenVinoVision(core, bundle, options) if bundle.image else None
        self._inputs = frozenset(port.any_name for port in compiled.inputs)
        self._width = compiled.input(IMAGE_FEATURES).partial_shape[1].get_length() if bundle.image else 0
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.streams):
            self._idle.put(compiled.create_infer_request())
        # The first inferences of two threads can deadlock: OpenVINO's binding (2026.4) releases Python's lock while it initialises what
        # both need (seen in a debugger). So the first one runs before there are threads.
        self.infer([Row(np.array([bundle.pad_id], np.int64), np.zeros(1, np.int64))])

    def infer(self, rows: Sequence[Row]) -> Logits:
        """Compute raw logits, FP32 [rows]."""
        inputs = graph_inputs(rows, self._bundle, self._width, self.step)
        if self._packed:
            inputs |= places(inputs[ATTENTION_MASK], LANES)
        request = self._idle.get()
        try:
            outputs = request.infer({name: array for name, array in inputs.items() if name in self._inputs}, share_inputs=True)
            logits: Logits = outputs[0].reshape(-1).copy()  # the request's own memory, which its next inference overwrites
        finally:
            self._idle.put(request)
        return logits

    def computed_tokens(self, lengths: Sequence[int]) -> int:
        """With packed products the tokens of all rows, filled up to whole vectors; else each row is padded to the longest of the batch."""
        if self._packed:
            return filled_up(sum(lengths), LANES)
        return len(lengths) * padded_length(max(lengths), self.step, self._bundle.max_seq_len)
