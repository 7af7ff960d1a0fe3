"""Run the contenders on the same rows in interleaved rounds. Knows neither their work nor the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from facade.errors import RerankerError
from facade.reranking.tensors import Row
from scripts.engine_speed import rounds
from scripts.engine_speed.contenders import CONTENDERS, Circumstances, Score, UnavailableError
from scripts.engine_speed.subject import Subject


@dataclass(frozen=True)
class Measured:
    """One contender: its seconds in each round, and the greatest difference of its logits from the first contender's. `unavailable`: why
    it could not be measured.
    """

    name: str
    seconds: tuple[float, ...] = ()
    difference: float = 0.0
    unavailable: str = ""


def compare(names: Sequence[str], subject: Subject, around: Circumstances, rows: Sequence[Row], count: int) -> list[Measured]:
    """One for each name, in their order, of `count` rounds."""
    made: dict[str, Score] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            made[name] = CONTENDERS[name](subject, around)
        except (UnavailableError, RerankerError) as error:
            missing[name] = str(error)
    seconds = rounds.interleaved({name: partial(score, rows) for name, score in made.items()}, count, around.device)
    logits = {name: score(rows) for name, score in made.items()}
    first = next(iter(logits.values()), np.zeros(0))
    return [
        Measured(name, unavailable=missing[name])
        if name in missing
        else Measured(name, tuple(seconds[name]), float(np.abs(logits[name] - first).max()))
        for name in names
    ]
