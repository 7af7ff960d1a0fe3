"""Run a model on packed buffers, and record CUDA graphs of shapes that repeat.

A small batch's kernels end before the processor can start the next one; a recorded graph starts all of them at once. Knows no rows and no
family.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from reranker.engines.torch_packed.batch import Buffer, PackedBatch, Shape, fill
from reranker.engines.torch_packed.vision import Images

# Occurrence at which a shape is recorded: some never repeat, and recording costs as much as some ten runs.
RECORDED_AT = 2
# Each graph holds a few MB of the driver's memory; all share the memory that they compute in.
MOST_GRAPHS = 128

Model = Callable[[PackedBatch], Tensor]


@dataclass(frozen=True)
class Recording:
    """A graph, where it reads and where it writes."""

    graph: torch.cuda.CUDAGraph
    buffer: Tensor
    logits: Tensor


class Recordings:
    """Which shapes are recorded: those that have come before, up to MOST_GRAPHS. `record` makes a recording."""

    def __init__(self, record: Callable[[Shape], Recording]) -> None:
        self._record = record
        self._seen: Counter[Shape] = Counter()
        self._kept: dict[Shape, Recording] = {}

    def of(self, shape: Shape) -> Recording | None:
        """The shape's recording, if it has one from now on."""
        self._seen[shape] += 1
        if shape not in self._kept and self._seen[shape] >= RECORDED_AT and len(self._kept) < MOST_GRAPHS:
            self._kept[shape] = self._record(shape)
        return self._kept.get(shape)


class Runner:
    """Buffers to logits on the host. One call at a time: recordings share their memory."""

    def __init__(self, model: Model, device: torch.device) -> None:
        self._model = model
        self._device = device
        self._recordings = Recordings(self._record)
        self._pool: Any = None

    @torch.inference_mode()
    def run(self, buffer: Buffer, shape: Shape, *, repeats: bool, images: Images | None = None) -> Tensor:
        """Logits FP32 [sequences], on the host. `repeats`: the shape is one of a few, so that a graph of it pays; not with images."""
        host = torch.from_numpy(buffer)
        if self._device.type != "cuda":
            return self._model(replace(shape.split(host), images=images))
        with torch.cuda.device(self._device):  # each thread has a current device of its own
            # Pinned: the copy doesn't wait for the device.
            return self._run_on_gpu(host.pin_memory(), shape, images, repeats=repeats and images is None)

    def _run_on_gpu(self, host: Tensor, shape: Shape, images: Images | None, *, repeats: bool) -> Tensor:
        recording = self._recordings.of(shape) if repeats else None
        if recording is None:
            return self._model(replace(shape.split(host.to(self._device, non_blocking=True)), images=images)).cpu()
        recording.buffer.copy_(host, non_blocking=True)
        recording.graph.replay()
        return recording.logits.cpu()

    def _record(self, shape: Shape) -> Recording:
        """Of a batch with token id 0 everywhere. The shape has run before, so nothing is compiled or measured while recording."""
        buffer = torch.from_numpy(fill([], shape, filler=0)).to(self._device)
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as the one that pins memory, may use the device meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            logits = self._model(shape.split(buffer))
        self._pool = graph.pool()
        return Recording(graph, buffer, logits)
