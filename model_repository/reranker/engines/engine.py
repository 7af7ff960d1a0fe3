"""What an engine is, and what the registry knows of it before it is loaded. Knows no runtime and no Triton."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from facade.reranking.bundle import Bundle
from facade.reranking.tensors import Logits, Row
from reranker.engines.machine import Machine

AUTO = "auto"  # of RERANKER_ENGINE and RERANKER_PRECISION
NO_GPU = "no GPU is here"


class Engine(Protocol):
    """Computes micro-batches. `name` and `precision` are its labels in metrics and logs.

    `step`: rows are padded to a multiple of this number of tokens. `streams`: calls of `infer` that it computes at a time, each in a thread
    of the caller's. `batch_cost`: the fixed cost of a micro-batch, in tokens. `token_budget`: tokens of a micro-batch above which the
    throughput no longer rises. `patience_s`: seconds for each token of a call, after which no other call overtakes it; some ten times what
    the device takes for a token.
    """

    name: str
    precision: str
    step: int
    streams: int
    batch_cost: int
    token_budget: int
    patience_s: float

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
