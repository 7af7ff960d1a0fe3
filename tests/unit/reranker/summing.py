"""An engine for the tests of what feeds engines: quick, exact, and faulty where a test wants it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from facade.reranking.tensors import Logits, Row
from reranker.engines.engine import Vision

POISON, NAN, INFINITE = 30_000, 30_001, 30_002
STARTED_S = 60.0


def row(*ids: int) -> Row:
    """A row of these ids, the first of which is the query's."""
    return Row(np.array(ids, np.int64), np.array([0] + [1] * (len(ids) - 1), np.int64))


def expected(scored: Row) -> float:
    """The logit that the engine gives."""
    return float(scored.input_ids.sum() + scored.token_type_ids.sum())


@dataclass
class Summing:
    """An engine whose logit is the sum of a row's ids plus the sum of its segments; some ids have a fate of their own.

    A batch with POISON in it fails, as does one that costs more than `memory` tokens. While `free` is not set, batches wait in the engine.
    """

    name: str = "summing"
    precision: str = "fp32"
    step: int = 1
    streams: int = 1
    batch_cost: int = 10
    token_budget: int = 1 << 20
    patience_s: float = 0.0001
    memory: int = 1 << 30
    vision: Vision | None = None
    batches: list[list[Row]] = field(default_factory=list)
    free: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.free.set()

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Rows and tokens of each batch so far."""
        return [(len(batch), max(len(row.input_ids) for row in batch)) for batch in self.batches]

    def infer(self, rows: Sequence[Row]) -> Logits:
        self.batches.append(list(rows))
        self.free.wait(STARTED_S)
        longest = max(len(row.input_ids) for row in rows)
        if len(rows) * longest > self.memory:
            raise MemoryError(f"no room for {len(rows) * longest} tokens")
        if any((row.input_ids == POISON).any() for row in rows):
            raise RuntimeError("poison")
        return np.array([_logit(row) for row in rows], np.float32)

    def computed_tokens(self, lengths: Sequence[int]) -> int:
        return len(lengths) * max(lengths) + 1


def _logit(scored: Row) -> float:
    if (scored.input_ids == NAN).any():
        return np.nan
    return -np.inf if (scored.input_ids == INFINITE).any() else expected(scored)
