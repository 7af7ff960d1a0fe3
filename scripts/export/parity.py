"""The parity gate: a bundle is compared with its reference before it is written.

The reference tokenises in its own way and scores each pair alone; the bundle goes through the project's own tokenising, tiling, padding
and runtime, each pair alone and padded among others. Knows bundles and logits, no family of models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from facade.reranking.bundle import Bundle
from facade.reranking.tensors import IMAGE_FEATURES, Row
from scripts.export import runtimes
from scripts.export.checkpoint import Checkpoint, Encoded, ExportError
from scripts.export.served import Served
from scripts.export.trial import SEED, Trial

ROWS_PER_BATCH = 8
SHORT = 256  # tokens; a thousand rows' worth of padding beside one of 8,192 would cost hours on a CPU and show nothing more
SHOWN = 8  # differing pairs that a refusal lists
Scorer = Callable[[Sequence[Row]], NDArray[np.float32]]


@dataclass(frozen=True)
class Tolerance:
    """What a precision may change: a logit, in units of the reference's spread where that is above 1, and the order of passages."""

    difference: float
    rank_agreement: float


# Measured on the default model: fp32 4e-6, fp16 4e-3, bf16 6e-2 and int8 0.33 at most, 100 %, 100 %, 99 % and 96 % of the order kept (the
# passages are random words, whose logits lie close together). The limits are about three times that or more, since other models are
# deeper; the breakages that tests try are caught by the widest of them.
TOLERANCES = {
    "fp32": Tolerance(1e-4, 1.0),
    "fp16": Tolerance(2e-2, 0.995),
    "bf16": Tolerance(1.5e-1, 0.98),
    "int8": Tolerance(1.0, 0.85),
}


@dataclass(frozen=True)
class Comparison:
    """What the gate measured, FP32 [pairs] each; `labels` name the pairs, `queries` say which pairs compete."""

    labels: list[str]
    queries: list[int]
    expected: NDArray[np.float32]
    differences: NDArray[np.float32]
    found: NDArray[np.float32]
    longest: int
    mistokenised: list[str]

    @property
    def rank_agreement(self) -> float:
        """The share of the bundle's pairs of passages in the reference's order, of those that the reference of a query distinguishes."""
        queries = np.asarray(self.queries)
        expected = self.expected[:, None] - self.expected[None, :]
        found = self.found[:, None] - self.found[None, :]
        apart = (queries[:, None] == queries[None, :]) & (expected > 1e-3)
        return float((found[apart] > 0).mean()) if apart.any() else 1.0

    @property
    def top_flips(self) -> int:
        """Queries whose best passage is another one."""
        queries = np.asarray(self.queries)
        return sum(
            int(np.argmax(self.expected[queries == query]) != np.argmax(self.found[queries == query])) for query in np.unique(queries)
        )

    def failures(self, tolerance: Tolerance) -> list[str]:
        """One line for each fault; empty where the bundle passes. A NaN is a fault."""
        allowed = tolerance.difference * max(1.0, float(self.expected.std()))
        lines = list(self.mistokenised)
        worst = np.argsort(-np.nan_to_num(self.differences, nan=np.inf))
        bad = [index for index in worst if not self.differences[index] <= allowed]
        lines.extend(f"{self.labels[index]}: {self.found[index]:.5g} instead of {self.expected[index]:.5g}" for index in bad)
        if not self.rank_agreement >= tolerance.rank_agreement:
            lines.append(f"only {self.rank_agreement:.2%} of the passages are in the reference's order")
        if len(self.expected) > 1 and np.ptp(self.expected) == 0.0:  # then every order and any head would agree with it
            lines.append("the reference gives every pair the same logit, so it ranks nothing: check the checkpoint's head")
        return lines[:SHOWN] + ([f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])


def compare(bundle: Bundle, checkpoint: Checkpoint, trials: Sequence[Trial], precision: str) -> Comparison:
    """Score every trial by the reference and twice by the bundle's graphs for `precision`: alone, and padded among others."""
    served = Served(bundle, bundle.max_seq_len, trials)
    pairs = [_Pair(number, place, row) for number, trial in enumerate(trials) for place, row in enumerate(served.rows(trial))]
    references = [_encode(checkpoint, trials[pair.query], pair.passage) for pair in pairs]
    labels = [pair.label(len(own.ids)) for pair, own in zip(pairs, references, strict=True)]
    mistokenised = [
        f"{label}: tokenised differently from token {_first_difference(own.ids, ids)} on"
        for label, own, ids in zip(labels, references, (pair.row.input_ids.tolist() for pair in pairs), strict=True)
        if own.ids != ids
    ]
    score = _graph(bundle, precision, served)
    print(f"reference: {len(pairs)} pairs")
    expected = np.array([checkpoint.reference(own) for own in tqdm(references, unit="pair", leave=False, disable=None)], dtype=np.float32)
    print("graph: the same, alone and in company")
    rows = [pair.row for pair in pairs]
    alone = np.concatenate([score([row]) for row in tqdm(rows, unit="pair", leave=False, disable=None)])
    company = _in_company(score, rows)
    differences = np.maximum(np.abs(alone - expected), np.abs(company - expected))
    longest = max(len(row.input_ids) for row in rows)
    return Comparison(labels, [pair.query for pair in pairs], expected, differences, company, longest, mistokenised)


@dataclass(frozen=True)
class _Pair:
    """A row as the bundle makes it, of one passage of one of the trials, by their numbers."""

    query: int
    passage: int
    row: Row

    def label(self, tokens: int) -> str:
        image = f", {len(self.row.extra[IMAGE_FEATURES])} of an image" if self.row.extra else ""
        return f"query {self.query}, passage {self.passage} ({tokens} tokens{image})"


def _encode(checkpoint: Checkpoint, trial: Trial, passage: int) -> Encoded:
    """The pair as the reference tokenises it."""
    image = trial.images[passage] if trial.images else None
    if image is None or checkpoint.images is None:
        return checkpoint.encode(trial.query, trial.passages[passage])
    return checkpoint.images.encode(trial.query, trial.passages[passage], image)


def _in_company(score: Scorer, rows: Sequence[Row]) -> NDArray[np.float32]:
    """Logits of rows that were padded to a longer one of their batch: short ones in any mix, long ones with their like."""
    lengths = np.array([len(row.input_ids) for row in rows])
    short = np.random.default_rng(SEED).permutation(np.flatnonzero(lengths <= SHORT))
    order = [*short, *sorted(np.flatnonzero(lengths > SHORT), key=lambda row: int(lengths[row]))]
    found = np.zeros(len(rows), dtype=np.float32)
    for start in range(0, len(order), ROWS_PER_BATCH):
        batch = order[start : start + ROWS_PER_BATCH]
        found[batch] = score([rows[index] for index in batch])
    return found


def _graph(bundle: Bundle, precision: str, served: Served) -> Scorer:
    with bundle.loadable(precision) as graph:
        run, wanted = runtimes.load(graph, precision)
    given = set(served.inputs([Row(np.zeros(1, np.int64), np.zeros(1, np.int64))]))
    if wanted != given:
        raise ExportError(f"the graph wants {sorted(wanted)}, the pair encoding gives {sorted(given)}: its family disagrees with itself")
    return lambda rows: run(served.inputs(rows))


def _first_difference(first: Sequence[int], second: Sequence[int]) -> int:
    return next(
        (place for place, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), min(len(first), len(second))
    )
