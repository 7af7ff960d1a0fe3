"""Calibration of logits: a scale and a bias after which sigmoid(logit) is the share of relevant passages, and the remaining error.

The order of passages stays. Knows numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEWTON_STEPS = 50  # it converges in about ten
BINS = 10


@dataclass(frozen=True)
class Scaling:
    """The calibrated logit is scale x logit + bias; `scale` is above 0."""

    scale: float
    bias: float

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Calibrated logits, of the same shape."""
        return self.scale * np.asarray(logits, dtype=np.float64) + self.bias


@dataclass(frozen=True)
class Errors:
    """Error rates of a threshold of 0, as shares of the relevant and of the irrelevant pairs."""

    relevant_below: float
    irrelevant_above: float


@dataclass(frozen=True)
class Bin:
    """Pairs of similar predicted probability: their count, mean prediction and share of relevant pairs."""

    pairs: int
    predicted: float
    relevant: float


def fit(logits: ArrayLike, relevant: ArrayLike) -> Scaling:
    """The logistic regression of `relevant` (0 or 1) on `logits`, both [pairs].

    Raises ValueError if no finite scale above 0 exists: one class is missing, or the logits do not rise with relevance.
    """
    x, y = np.asarray(logits, dtype=np.float64), np.asarray(relevant, dtype=np.float64)
    if not 0 < y.mean() < 1:
        raise ValueError("calibration needs relevant and irrelevant pairs")
    features = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        predicted = probability(features @ weights)
        spread = predicted * (1 - predicted)
        curvature = features.T @ (features * spread[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, features.T @ (y - predicted))
        weights = weights + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))  # a longer step may overshoot
    if not np.isfinite(weights).all() or weights[0] <= 0:
        raise ValueError(f"these logits don't rise with relevance: the fitted scale is {weights[0]:.3g}")
    return Scaling(float(weights[0]), float(weights[1]))


def probability(logits: ArrayLike) -> NDArray[np.float64]:
    """The sigmoid, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(logits, dtype=np.float64))))


def errors_at_zero(logits: ArrayLike, relevant: ArrayLike) -> Errors:
    """The error rates of "relevant if the logit is above 0"."""
    above, truth = np.asarray(logits) > 0, np.asarray(relevant, dtype=bool)
    return Errors(float((~above[truth]).mean()), float(above[~truth].mean()))


def reliability(logits: ArrayLike, relevant: ArrayLike) -> list[Bin]:
    """The non-empty bins of equal width over the predicted probability, lowest first."""
    predicted, truth = probability(logits), np.asarray(relevant, dtype=np.float64)
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    return [
        Bin(int((bins == place).sum()), float(predicted[bins == place].mean()), float(truth[bins == place].mean()))
        for place in range(BINS)
        if (bins == place).any()
    ]


def expected_error(bins: list[Bin]) -> float:
    """The expected calibration error: the bins' mean distance between prediction and truth, weighted by their pairs."""
    return sum(entry.pairs * abs(entry.predicted - entry.relevant) for entry in bins) / sum(entry.pairs for entry in bins)
