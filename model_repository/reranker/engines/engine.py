"""What an engine is, and what the registry knows of it before it is loaded. Knows no runtime and no Triton."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facade.reranking.bundle import Bundle
from facade.reranking.tensors import Logits, Row
from reranker.engines.machine import Machine

AUTO = "auto"  # of RERANKER_ENGINE and RERANKER_PRECISION
NO_GPU = "no GPU is here"

Tiles = NDArray[np.uint8]
Features = NDArray[Any]


class Vision(Protocol):
    """Computes what a model sees in tiles. `tile_budget`: tiles of a pass above which the throughput no longer rises."""

    tile_budget: int

    def features(self, tiles: Tiles) -> Features:
        """Features [tiles, tokens of a tile, hidden] of UINT8 [tiles, 3, size, size], in the type in which the engine takes them.

        May run beside `infer`, one call at a time.
        """
        ...


class Engine(Protocol):
    """Computes micro-batches. `name` and `precision` are its labels in metrics and logs.

    `step`: rows are padded to a multiple of this number of tokens. `streams`: calls of `infer` that it computes at a time, each in a thread
    of the caller's. `batch_cost`: the fixed cost of a micro-batch, in tokens. `token_budget`: tokens of a micro-batch above which the
    throughput no longer rises. `patience_s`: seconds for each token of a call, after which no other call overtakes it; some ten times what
    the device takes for a token. `vision`: where the bundle takes images. A row with an image then has its features [placeholders, hidden]
    as `extra`.
    """

    name: str
    precision: str
    step: int
    streams: int
    batch_cost: int
    token_budget: int
    patience_s: float

    @property
    def vision(self) -> Vision | None:
        """None where the bundle takes text alone."""
        ...

    def infer(self, rows: Sequence[Row]) -> Logits:
        """Compute raw logits, FP32 [rows], in the rows' order."""
        ...

    def computed_tokens(self, lengths: Sequence[int]) -> int:
        """Tokens that it computes for a micro-batch of rows of these lengths, padding included."""
        ...


@dataclass(frozen=True)
class EngineEntry:
    """An engine as the registry has it; none of this imports the runtime, unless the machine has a GPU or the engine is set by name.

    `name`: its value of RERANKER_ENGINE. `module`: has `load(bundle, settings, machine) -> Engine`, and imports the runtime. `merit`: why
    it is chosen. `passed_over`: why `auto` leaves it out on this machine, None where it does not. `refusal`: why it can't compute the
    bundle here in this precision (or AUTO) and what to do, None where it can.
    """

    name: str
    module: str
    merit: str
    passed_over: Callable[[Machine], str | None]
    refusal: Callable[[Bundle, str, Machine], str | None]
