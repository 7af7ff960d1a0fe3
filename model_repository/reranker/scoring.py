"""One micro-batch to an outcome for each row. No Triton import.

Where the engine fails, the batch is halved until the faulty row is alone: it costs the rest of its batch time, never their logits. Halving
also helps where a device is out of memory.
"""

import math
from collections.abc import Sequence

import numpy as np

from facade.errors import ScoringError
from facade.reranking.tensors import Logits, Row
from reranker.engines.engine import Engine

Outcome = float | ScoringError


def score(engine: Engine, rows: Sequence[Row]) -> list[Outcome]:
    """Each row's logit, or the error instead, in the rows' order."""
    try:
        logits = _one_a_row(engine.infer(rows), len(rows))
    except Exception as error:  # noqa: BLE001 (runtimes raise anything; none of it may fail the rest of the batch)
        if len(rows) == 1:
            return [ScoringError(f"the {engine.name} engine failed: {error}")]
        half = len(rows) // 2
        return score(engine, rows[:half]) + score(engine, rows[half:])
    return [logit if math.isfinite(logit) else ScoringError("the logit is no finite number") for logit in logits]


def _one_a_row(logits: Logits, rows: int) -> list[float]:
    """The logits of a batch. Raises ScoringError where they are not one for each row."""
    if np.shape(logits) != (rows,):
        raise ScoringError(f"logits of shape {np.shape(logits)} for {rows} rows")
    scored: list[float] = logits.tolist()
    return scored
