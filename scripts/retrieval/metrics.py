"""Measures of a ranking with binary relevance, and the confidence interval of a difference. Knows indices, not texts.

The library ranx gives the same figures to the last bit, but needs 36 packages (600 MB) and compiles for minutes at its first use.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


def ndcg(ranking: Sequence[int], relevant: Collection[int], depth: int = 10) -> float:
    """Normalised discounted cumulative gain of the first `depth` places, 0 to 1; 0 if nothing is relevant."""
    gain = sum(1 / np.log2(place + 2) for place, index in enumerate(ranking[:depth]) if index in relevant)
    ideal = sum(1 / np.log2(place + 2) for place in range(min(len(relevant), depth)))
    return float(gain / ideal) if ideal else 0.0


def reciprocal_rank(ranking: Sequence[int], relevant: Collection[int], depth: int = 10) -> float:
    """1 / the place of the first relevant entry, counted from 1; 0 beyond `depth`."""
    return next((1 / (place + 1) for place, index in enumerate(ranking[:depth]) if index in relevant), 0.0)


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def paired_bootstrap(first: ArrayLike, second: ArrayLike, samples: int = 10_000, seed: int = 0) -> Interval:
    """The mean of `second - first`, paired by question, with a percentile interval. Raises ValueError if the shapes differ."""
    before, after = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise ValueError(f"paired values need one shape [questions], got {before.shape} and {after.shape}")
    differences = after - before
    drawn = np.random.default_rng(seed).integers(0, len(differences), (samples, len(differences)), dtype=np.int32)
    low, high = np.quantile(differences[drawn].mean(axis=1), (0.025, 0.975))
    return Interval(float(differences.mean()), float(low), float(high))
