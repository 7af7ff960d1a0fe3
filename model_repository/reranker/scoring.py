"""Rows of many requests -> one outcome each. No Triton import.

Plans micro-batches (facade/batching.py), runs as many at a time as the engine does, and where one fails, halves it until the fault stands
alone: a row that the engine can't take costs its batch mates time, never their logits. The same halving answers a device that is out of
memory.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engines import Engine

from facade.batching import cheapest_plan
from facade.errors import ScoringError
from facade.tensors import Row, padded_length

Outcome = float | ScoringError


@dataclass(frozen=True)
class Scored:
    """One outcome for each row, in the rows' order: its logit, or why it has none. `tokens` went through the engine, padding included."""

    outcomes: list[Outcome]
    tokens: int


class Scorer:
    """`token_budget`: tokens of a micro-batch, padding included; bounds the memory of a forward pass."""

    def __init__(self, engine: Engine, max_seq_len: int, token_budget: int) -> None:
        self._engine = engine
        self._max_seq_len = max_seq_len
        self._token_budget = token_budget
        self._threads = ThreadPoolExecutor(engine.streams, thread_name_prefix="infer")

    def score(self, rows: Sequence[Row]) -> Scored:
        """All rows' outcomes."""
        lengths = [padded_length(len(row.input_ids), self._engine.step, self._max_seq_len) for row in rows]
        # Work for all streams, even if it is little. The last batches are the longest: they go first, so that the streams end together.
        budget = min(self._token_budget, math.ceil(len(rows) * max(lengths, default=0) / self._engine.streams))
        batches = cheapest_plan(lengths, budget, self._engine.batch_cost)[::-1]
        outcomes: list[Outcome] = [ScoringError("not scored")] * len(rows)
        found = self._threads.map(self._score, ([rows[index] for index in batch] for batch in batches))
        for batch, own in zip(batches, found, strict=True):
            for index, outcome in zip(batch, own, strict=True):
                outcomes[index] = outcome
        return Scored(outcomes, sum(len(batch) * max(lengths[index] for index in batch) for batch in batches))

    def _score(self, rows: list[Row]) -> list[Outcome]:
        try:
            logits = self._engine.infer(rows).tolist()
        except Exception as error:  # noqa: BLE001 (runtimes raise what they like; whatever it is must not reach the batch mates)
            if len(rows) == 1:
                return [ScoringError(f"the {self._engine.name} engine failed: {error}")]
            half = len(rows) // 2
            return self._score(rows[:half]) + self._score(rows[half:])
        return [logit if math.isfinite(logit) else ScoringError("the logit is no finite number") for logit in logits]
