"""Engines: rows of one micro-batch -> logits. One module per runtime, one small interface, no Triton import.

Which engine runs, and in which precision, is chosen once, at load (choice.py).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from engines.choice import AUTO, choose, machine
from engines.place import ALONE, Place
from engines.processors import usable_cores
from engines.torch_packed.refusal import refusal
from facade.config.engine_settings import EngineSettings
from facade.errors import BundleError, RerankerError
from facade.reranking.bundle import INT8, Bundle
from facade.reranking.tensors import Logits, Row

GPU_PRECISION = "bf16"  # of the engine that can choose; half the time and memory of fp32, and its range


class Engine(Protocol):
    """Computes micro-batches. `name` and `precision` are what metrics and logs call it.

    `step`: rows are padded to a multiple of so many tokens. `streams`: how many calls of `infer` it computes at a time, each in a thread of
    the caller's. `batch_cost`: what a micro-batch costs beside its tokens, in tokens; `token_budget`: where larger ones gain no more.
    `patience_s`: seconds that a call may be overtaken, for each of its tokens; some ten times what the device takes for a token.
    """

    name: str
    precision: str
    step: int
    streams: int
    batch_cost: int
    token_budget: int
    patience_s: float

    def infer(self, rows: Sequence[Row]) -> Logits:
        """Raw logits FP32 [rows], in the rows' order."""
        ...

    def computed_tokens(self, lengths: Sequence[int]) -> int:
        """Tokens that it computes for a micro-batch of rows of such lengths, padding included."""
        ...


def load_engine(bundle: Bundle, settings: EngineSettings, place: Place = ALONE) -> tuple[Engine, str]:
    """The engine for the bundle on the GPU of `place`, or on its part of the processor; and the reason why it was chosen.

    Raises SettingsError or BundleError where the chosen engine or the bundle can't do the wanted precision, and BundleError where the
    engine can't compute with the graph.
    """
    try:
        engine, reason = _load(bundle, settings, place)
        engine.infer([_trial(bundle)])  # some graphs are read without an error and fail at their first rows
    except RerankerError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"the graph in {bundle.folder} can't be used ({reason}): run `make export-model` of this release") from error
    return engine, reason


def _trial(bundle: Bundle) -> Row:
    """A row of the padding token and the last one of the vocabulary, in a segment each where the model has segments."""
    ids = [bundle.pad_id, bundle.vocabulary_size - 1]
    return Row(np.array(ids, np.int64), np.array([0, int(bundle.pair_encoding.segment_ids)], np.int64))


def _load(bundle: Bundle, settings: EngineSettings, place: Place) -> tuple[Engine, str]:
    threads = settings.threads or place.share(usable_cores())
    here = machine()
    wanted = None if settings.precision == AUTO else settings.precision
    name, reason = choose(settings.engine, here, refusal(bundle, wanted or GPU_PRECISION))
    if name == "torch":
        from engines.torch_packed.engine import load  # noqa: PLC0415 (an engine that isn't chosen need not be installed)

        return load(bundle, wanted or (GPU_PRECISION if here.gpu else "fp32"), threads, place.device), reason
    if name in {"onnxruntime", "tensorrt"}:
        from engines.onnxruntime import GPU_TOKEN_BUDGET, OnnxRuntimeEngine, TensorRT  # noqa: PLC0415

        tensorrt = TensorRT(settings.tensorrt_cache.expanduser(), settings.batch_tokens or GPU_TOKEN_BUDGET)
        built = tensorrt if name == "tensorrt" else None
        gpu = place.device if here.onnxruntime or built else None
        return OnnxRuntimeEngine(bundle, wanted or bundle.manifest["precision"], threads, built, gpu=gpu), reason
    from engines.openvino import OpenVinoEngine  # noqa: PLC0415

    return OpenVinoEngine(bundle, wanted or (INT8 if INT8 in bundle.precisions else bundle.manifest["precision"]), threads), reason
