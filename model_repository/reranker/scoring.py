"""Rows of many requests -> one outcome each. No Triton import.

Plans micro-batches (facade/batching.py), runs them, and where one fails, halves it until the fault stands alone: a row that the engine
can't take costs its batch mates time, never their logits. The same halving answers a device that is out of memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engines import Engine

from facade.batching import plan
from facade.bundle import Bundle
from facade.errors import ScoringError
from facade.tensors import Row, pack

Outcome = float | ScoringError


@dataclass(frozen=True)
class Scorer:
    """`token_budget`: tokens of a micro-batch, padding included; bounds the memory of a forward pass."""

    engine: Engine
    bundle: Bundle
    token_budget: int

    def score(self, rows: Sequence[Row]) -> list[Outcome]:
        """Each row's logit, or the error why it has none, in the order of `rows`."""
        outcomes: list[Outcome] = [ScoringError("not scored")] * len(rows)
        for batch in plan([len(row.input_ids) for row in rows], self.token_budget):
            for index, outcome in zip(batch, self._score([rows[index] for index in batch]), strict=True):
                outcomes[index] = outcome
        return outcomes

    def _score(self, rows: list[Row]) -> list[Outcome]:
        try:
            logits = self.engine.infer(pack(rows, self.bundle, self.engine.step)).tolist()
        except Exception as error:  # noqa: BLE001 (runtimes raise what they like; whatever it is must not reach the batch mates)
            if len(rows) == 1:
                return [ScoringError(f"the {self.engine.name} engine failed: {error}")]
            half = len(rows) // 2
            return self._score(rows[:half]) + self._score(rows[half:])
        return [logit if math.isfinite(logit) else ScoringError("the logit is no finite number") for logit in logits]
