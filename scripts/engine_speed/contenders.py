"""The engines that are measured, each as rows to logits in the rows' order. Knows how they are made and batched, not how they are timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facade.config.settings import Settings
from facade.reranking.batching import plan
from facade.reranking.tensors import Logits, Row, pack
from reranker.engines import load_engine
from reranker.engines.engine import Engine
from reranker.engines.torch_packed import ARCHITECTURE
from reranker.engines.torch_packed.engine import PackedEngine, Running
from reranker.engines.torch_packed.families import FAMILIES
from reranker.engines.torch_packed.weights import Weights
from scripts.engine_speed.subject import Subject

Score = Callable[[Sequence[Row]], Logits]
UNSORTED_ROWS = 32  # rows of a batch of transformers' padded baseline: the default of the libraries that use it


class UnavailableError(Exception):
    """The contender can't run here; the message says why."""


@dataclass(frozen=True)
class Circumstances:
    """What all contenders share. `cache`: folder of TensorRT's engines."""

    device: torch.device
    precision: str
    batch_tokens: int
    threads: int
    cache: Path


def packed(subject: Subject, around: Circumstances, *, compiled: bool) -> Score:
    """This project's torch engine, on packed tokens."""
    running = Running(around.device, around.precision, compiled=compiled, recorded=around.device.type == "cuda")
    weights = Weights(subject.stored, running.device, running.type)
    manifest = subject.bundle.manifest
    model = FAMILIES[manifest["family"]].build(manifest[ARCHITECTURE], weights, subject.bundle.max_seq_len)
    return _planned(PackedEngine(model, running, subject.bundle.max_seq_len, subject.bundle.pad_id), around)


def transformers(subject: Subject, around: Circumstances, *, ordered: bool) -> Score:
    """transformers' modules with padding, in the order in which rows come, or `ordered` by length into the same batches as the others."""
    running = Running(around.device, around.precision, compiled=False, recorded=False)
    module = deepcopy(subject.padded).to(running.device)
    for parameter in module.get_submodule("model").parameters():
        parameter.data = parameter.data.to(running.type)  # not its buffers: rotary frequencies stay fp32, as transformers loads them

    @torch.inference_mode()
    def batch(rows: Sequence[Row]) -> Logits:
        inputs = (torch.from_numpy(array).to(running.device) for array in pack(rows, subject.bundle).values())
        logits: Logits = module(*inputs).float().cpu().numpy()
        return logits

    def score(rows: Sequence[Row]) -> Logits:
        lengths = [len(row.input_ids) for row in rows]
        places = list(range(len(rows)))
        batches = [places[start : start + UNSORTED_ROWS] for start in range(0, len(rows), UNSORTED_ROWS)]
        return _in_order(batch, rows, plan(lengths, around.batch_tokens) if ordered else batches)

    return score


def onnxruntime(subject: Subject, around: Circumstances, *, tensorrt: bool = False) -> Score:
    """ONNX Runtime on the device that torch uses, by CUDA or by TensorRT."""
    _check_exported(subject)
    try:
        from reranker.engines.onnxruntime.engine import OnnxRuntimeEngine, TensorRT  # noqa: PLC0415 (it may not be installed)
    except ImportError as error:
        raise UnavailableError(str(error)) from None
    built = TensorRT(around.cache, around.batch_tokens) if tensorrt else None
    gpu = (around.device.index or 0) if around.device.type == "cuda" else None
    return _planned(OnnxRuntimeEngine(subject.bundle, "fp32", around.threads, built, gpu=gpu), around)


def openvino(subject: Subject, around: Circumstances) -> Score:
    """OpenVINO on the CPU."""
    _check_exported(subject)
    wanted = Settings(engine="openvino", precision=around.precision, threads=around.threads)
    return _planned(load_engine(subject.bundle, wanted)[0], around)


CONTENDERS: dict[str, Callable[[Subject, Circumstances], Score]] = {
    "packed": lambda subject, around: packed(subject, around, compiled=True),
    "packed-eager": lambda subject, around: packed(subject, around, compiled=False),
    "transformers": lambda subject, around: transformers(subject, around, ordered=False),
    "transformers-ordered": lambda subject, around: transformers(subject, around, ordered=True),
    "onnxruntime": onnxruntime,
    "tensorrt": lambda subject, around: onnxruntime(subject, around, tensorrt=True),
    "openvino": openvino,
}


def _check_exported(subject: Subject) -> None:
    if not subject.exported:
        raise UnavailableError("the random model is not exported, there is no graph of it")


def _planned(engine: Engine, around: Circumstances) -> Score:
    """An engine fed as the server feeds it."""

    def score(rows: Sequence[Row]) -> Logits:
        return _in_order(engine.infer, rows, plan([len(row.input_ids) for row in rows], around.batch_tokens))

    return score


def _in_order(infer: Score, rows: Sequence[Row], batches: Sequence[Sequence[int]]) -> Logits:
    logits = np.empty(len(rows), np.float32)
    for batch in batches:
        logits[batch] = infer([rows[place] for place in batch])
    return logits
