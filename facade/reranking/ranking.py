"""Logits -> rankings. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from facade.errors import ScoringError

MAX_PASSAGES = 512  # of one request, as the NIM


@dataclass(frozen=True)
class Ranking:
    """A passage's place in the request and its raw logit."""

    index: int
    logit: float


def rank(logits: Sequence[float]) -> list[Ranking]:
    """All passages, highest logit first; of equal ones the lower index first. Raises ScoringError for NaN and infinities."""
    bad = [index for index, logit in enumerate(logits) if not isfinite(logit)]
    if bad:
        raise ScoringError("the model gave no finite logit for some passages; nothing was ranked", {"passages": bad})
    order = sorted(range(len(logits)), key=lambda index: (-logits[index], index))
    return [Ranking(index, logits[index]) for index in order]
