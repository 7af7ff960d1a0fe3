"""One micro-batch -> an outcome for each row. No Triton import.

Where the engine fails, the batch is halved until the fault stands alone: a row that the engine can't take costs its batch mates time, never
their logits. The same halving answers a device that is out of memory.
"""

import math
from collections.abc import Sequence

import numpy as np

from facade.errors import ScoringError
from facade.reranking.tensors import Logits, Row
from reranker.engines.engine import Engine

Outcome = float | ScoringError


def score(engine: Engine, rows: Sequence[Row]) -> list[Outcome]:
    """Each row's logit, or the error why it has none, in the rows' order."""
    try:
        logits = _one_a_row(engine.infer(rows), len(rows))
    except Exception as error:  # noqa: BLE001 (runtimes raise what they like; whatever it is must not reach the batch mates)
        if len(rows) == 1:
            return [ScoringError(f"the {engine.name} engine failed: {error}")]
        half = len(rows) // 2
        return score(engine, rows[:half]) + score(engine, rows[half:])
    return [logit if math.isfinite(logit) else ScoringError("the logit is no finite number") for logit in logits]


def _one_a_row(logits: Logits, rows: int) -> list[float]:
    """The logits of a batch. Raises ScoringError where it isn't known which row each of them belongs to."""
    if np.shape(logits) != (rows,):
        raise ScoringError(f"logits of shape {np.shape(logits)} for {rows} rows")
    scored: list[float] = logits.tolist()
    return scored
