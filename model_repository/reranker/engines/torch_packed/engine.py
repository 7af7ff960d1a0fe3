"""Torch on packed rows: no padding, except tokens that fill a small batch up to a shape that repeats.

Knows devices and precisions; families, packing and graphs are modules beside this one.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from facade.config.engine_settings import EngineSettings
from facade.reranking.bundle import VISION, WEIGHTS, Bundle
from facade.reranking.tensors import Logits, Row
from reranker.engines.engine import AUTO
from reranker.engines.machine import Machine
from reranker.engines.torch_packed import ARCHITECTURE, PRECISIONS
from reranker.engines.torch_packed.batch import SHORTEST_BUCKET, Shape, bucket, exact_shape, fill
from reranker.engines.torch_packed.families import FAMILIES, Family, Model
from reranker.engines.torch_packed.onnx_weights import read_weights
from reranker.engines.torch_packed.replay import RECORDED_AT, Runner
from reranker.engines.torch_packed.vision import PackedVision
from reranker.engines.torch_packed.weights import Weights

# Tokens of a batch up to which shapes are rounded up and recorded as graphs. Above, kernels take longer than their start, and tokens that
# fill up would cost their full time. Not measured yet.
MOST_RECORDED = 4096
# Seconds for each token of a call, until it is due: ten times a token's time. Estimates from a million tokens a second on a GPU, and from
# OpenVINO's speed on a processor.
GPU_PATIENCE_S, CPU_PATIENCE_S = 0.00001, 0.0001
GPU_PRECISION = "bf16"  # half the time and memory of fp32, and its range
VISION_AXES = (1, 2, 3, 4)  # of the vision graph's weights, among them kernels of patches
COMPILERS = ("cc", "gcc", "clang")  # one of them builds the launchers of torch.compile's kernels


@dataclass(frozen=True)
class Running:
    """Where and how a model runs. `compiled`: torch.compile fuses kernels. `recorded`: shapes are rounded up, so that they repeat."""

    device: torch.device
    precision: str
    compiled: bool
    recorded: bool

    @classmethod
    def here(cls, precision: str, gpu: int = 0) -> "Running":
        """The best for this machine: on the GPU of that number, where there is one."""
        cuda = torch.cuda.is_available()
        compiled = cuda and any(shutil.which(name) for name in COMPILERS)
        device = torch.device("cuda", gpu) if cuda else torch.device("cpu")
        return cls(device, precision, compiled=compiled, recorded=cuda)

    @property
    def type(self) -> torch.dtype:
        """The precision as torch calls it."""
        kind: torch.dtype = getattr(torch, PRECISIONS[self.precision])
        return kind


class PackedEngine:
    """One model on one device. `positions`: its longest sequence; `filler`: any token id that it knows."""

    name = "torch"
    step = 1
    streams = 1  # the device runs one batch at a time, on all of it
    batch_cost = 1 << 20  # tokens: rows aren't padded, so smaller batches save nothing
    token_budget = 32_768  # an estimate of what keeps a GPU busy

    def __init__(self, model: Model, running: Running, positions: int, filler: int, vision: PackedVision | None = None) -> None:
        self.vision = vision
        self.precision = running.precision
        self.patience_s = GPU_PATIENCE_S if running.device.type == "cuda" else CPU_PATIENCE_S
        self._recorded = running.recorded
        self._positions = positions
        self._filler = filler
        self._runner = Runner(model, running.device)
        if running.compiled:
            for part in model.repeated():
                part.compile(dynamic=True)

    def infer(self, rows: Sequence[Row]) -> Logits:
        """Compute raw logits, FP32 [rows]."""
        lengths = [len(row.input_ids) for row in rows]
        repeats, shape = self._repeats(lengths), self._shape(lengths)
        images = self.vision.images(rows) if self.vision else None
        logits: Logits = self._runner.run(fill(rows, shape, self._filler), shape, repeats=repeats, images=images)[: len(rows)].numpy()
        return logits

    def computed_tokens(self, lengths: Sequence[int]) -> int:
        """The rows' own tokens, and those that fill a small batch up."""
        return self._shape(lengths).tokens

    def _repeats(self, lengths: Sequence[int]) -> bool:
        return self._recorded and sum(lengths) <= MOST_RECORDED

    def _shape(self, lengths: Sequence[int]) -> Shape:
        return bucket(lengths, self._positions) if self._repeats(lengths) else exact_shape(lengths)

    def warm_up(self) -> None:
        """Compile, and record the shapes of single rows, where latency matters most; others are recorded as they come."""
        length = SHORTEST_BUCKET
        while length < 2 * self._positions:
            for _ in range(RECORDED_AT):
                self.infer([self._row(min(length, self._positions))])
            length *= 2
        self.infer([self._row(self._positions)] * (MOST_RECORDED // self._positions + 1))

    def _row(self, tokens: int) -> Row:
        return Row(np.full(tokens, self._filler, np.int64), np.zeros(tokens, np.int64))


def load(bundle: Bundle, settings: EngineSettings, machine: Machine) -> PackedEngine:
    """The bundle's model on the machine's GPU, or on the processor, warmed up; by default in bf16 on a GPU.

    Sets torch's threads, or its current GPU, for the whole process.
    """
    own = GPU_PRECISION if machine.gpu is not None else "fp32"
    return start(bundle, own if settings.precision == AUTO else settings.precision, settings.threads or machine.cores, machine.gpu or 0)


def start(bundle: Bundle, precision: str, threads: int, gpu: int = 0) -> PackedEngine:
    """The same, in a precision that torch computes in, on the GPU of that number where there is one."""
    running = Running.here(precision, gpu)
    if running.device.type == "cpu":
        torch.set_num_threads(threads)
    else:
        torch.cuda.set_device(running.device)  # the default device, as of compiled kernels while they are tuned
    engine = build(bundle, running)
    if running.device.type == "cuda":
        engine.warm_up()
    return engine


def build(bundle: Bundle, running: Running) -> PackedEngine:
    """The bundle's model as `running` says. The bundle is one that `refusal` has nothing against."""
    family = FAMILIES[bundle.manifest["family"]]
    weights = Weights(read_weights(bundle.folder / WEIGHTS, family.prefix), running.device, running.type)
    model = family.build(bundle.manifest[ARCHITECTURE], weights, bundle.max_seq_len)
    return PackedEngine(model, running, bundle.max_seq_len, bundle.pad_id, _vision(bundle, family, running))


def _vision(bundle: Bundle, family: Family, running: Running) -> PackedVision | None:
    if not (bundle.image and family.see):
        return None
    weights = Weights(read_weights(bundle.folder / VISION, "", VISION_AXES), running.device, running.type)
    model = family.see(bundle.manifest[ARCHITECTURE], weights)
    return PackedVision(model, running.device, running.type, model.width, bundle.image.placeholder_id)
