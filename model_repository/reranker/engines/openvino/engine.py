"""OpenVINO on the CPU: how a model is compiled and fed. What is changed in its graph, exact_head.py and packed.py know."""

import os
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino

from facade.config.engine_settings import EngineSettings
from facade.reranking.bundle import INT8, Bundle
from facade.reranking.tensors import ATTENTION_MASK, Logits, Row, check_inputs, pack, padded_length
from reranker.engines.engine import AUTO
from reranker.engines.machine import Machine
from reranker.engines.openvino.exact_head import keep_exact
from reranker.engines.openvino.packed import filled_up, pack_products, places

# Lanes of a vector of FP32. Softmax sums a row's last tokens apart where they fill no vector; rounding to int8 then turns a difference in
# the last bit into one of up to 0.14 of a logit. With whole vectors a logit is the same, bit for bit, in every company (measured). Whole
# vectors also make fewer shapes to compile kernels for, and faster ones, which is why packed products are filled up to them, too.
LANES = 16
# Bytes of weights up to which every core computes batches of its own. Cores that share one have to wait for each other dozens of times in a
# few milliseconds; large models compute long enough between, and one core alone would take seconds for one pair.
SMALL_MODEL = 200_000_000
# Kernels that OpenVINO keeps compiled for each stream, and oneDNN below it for all of them. Their own 5,000 and 1,024 let memory grow for
# hours while rare shapes come by; with either of the two at 200 the throughput over mixed lengths is 2 to 3 % above that with 100, with
# both 4 %, and more gain nothing. MiniLM-L6 in int8 takes 340 MB then, instead of 285 (and 385 with 2,000 of each).
CACHED_KERNELS = 200
# Tokens. With packed products padding costs a quarter: 200 was 3 % faster than 48 over HTTP, 600 no more. Without, 16 to 100 are equal.
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
    """A compiled model, and as many inference requests as it computes at a time; kernels of shapes seen before are reused.

    int8 computes what lies between its products in bf16 where the processor has it. Products of BERT's kind of graph are computed without
    padding, 2 % faster than with it (measured); other graphs as they are.
    """

    name = "openvino"
    step = LANES
    token_budget = 1024  # larger ones are hardly faster, and a batch is what a small call may have to wait for
    # One core takes some 10 us for a token. So a call of 4 passages goes before one of 30 that came up to a third of a second earlier, and
    # no call is overtaken by what comes later than that.
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
            check_inputs([name for port in model.inputs for name in port.names], bundle)  # it would compute with what is not there
            if lowered:
                keep_exact(model)
            self._packed = pack_products(model)
            compiled = core.compile_model(model, "CPU", options)
        self.batch_cost = PACKED_BATCH_COST if self._packed else BATCH_COST
        self._inputs = frozenset(port.any_name for port in compiled.inputs)
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.streams):
            self._idle.put(compiled.create_infer_request())
        # The first inferences of two threads can wait for each other for ever: OpenVINO's binding (2026.4) frees Python's lock while it
        # sets up what both of them need (seen in a debugger). So the first one is over before there are threads.
        self.infer([Row(np.array([bundle.pad_id], np.int64), np.zeros(1, np.int64))])

    def infer(self, rows: Sequence[Row]) -> Logits:
        """Raw logits FP32 [rows]."""
        inputs = pack(rows, self._bundle, self.step)
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
        """Where products are packed, attention alone pads rows: to whole vectors of tokens, and to the longest of the batch."""
        if self._packed:
            return filled_up(sum(lengths), LANES)
        return len(lengths) * padded_length(max(lengths), self.step, self._bundle.max_seq_len)
