"""The parity gate: a bundle is compared with its reference before it is written.

The reference tokenises in its own way and scores each pair alone; the bundle goes through the project's own tokenising, padding and
runtime, each pair alone and padded among others. Knows bundles and logits, no family of models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
from numpy.typing import NDArray

from facade.reranking.bundle import Bundle
from facade.reranking.pairs import PairTokenizer
from facade.reranking.tensors import Row, pack
from facade.reranking.token_ids import unpacked
from scripts.export.checkpoint import Checkpoint, Encoded, ExportError
from scripts.export.trial import SEED, Trial

ROWS_PER_BATCH = 8
SHORT = 256  # tokens; a thousand rows' worth of padding beside one of 8,192 would cost hours on a CPU and show nothing more
SHOWN = 8  # differing pairs that a refusal lists
Run = Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]
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
    """Score every trial by the reference and twice by the bundle's graph for `precision`: alone, and padded among others."""
    tokenizer = PairTokenizer(bundle, bundle.max_seq_len)
    score = _graph(bundle, precision)
    labels: list[str] = []
    queries: list[int] = []
    rows: list[Row] = []
    references: list[Encoded] = []
    mistokenised: list[str] = []
    for number, (query, passages) in enumerate(trials):
        pairs = tokenizer.encode(query, passages, truncate=True)
        for place, (passage, row) in enumerate(zip(passages, pairs.rows, strict=True)):
            ids = unpacked(row).tolist()
            own = checkpoint.encode(query, passage)
            label = f"query {number}, passage {place} ({len(own.ids)} tokens)"
            if own.ids != ids:
                mistokenised.append(f"{label}: tokenised differently from token {_first_difference(own.ids, ids)} on")
            labels.append(label)
            queries.append(number)
            references.append(own)
            rows.append(Row(np.array(ids), np.repeat([0, 1], [pairs.query_length, len(ids) - pairs.query_length])))
    print(f"reference: {len(rows)} pairs")
    expected = np.array([checkpoint.reference(own) for own in references], dtype=np.float32)
    print("graph: the same, alone and in company")
    alone = np.concatenate([score([row]) for row in rows])
    company = _in_company(score, rows)
    differences = np.maximum(np.abs(alone - expected), np.abs(company - expected))
    return Comparison(labels, queries, expected, differences, company, max(len(row.input_ids) for row in rows), mistokenised)


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


def _graph(bundle: Bundle, precision: str) -> Scorer:
    """The graph in a runtime that computes what it says: OpenVINO for bf16, for which ONNX Runtime has no kernels on a CPU."""
    with bundle.loadable(precision) as graph:
        run, wanted = (_openvino if precision == "bf16" else _onnxruntime)(graph)
    given = set(pack([Row(np.zeros(1, np.int64), np.zeros(1, np.int64))], bundle))
    if wanted != given:
        raise ExportError(f"the graph wants {sorted(wanted)}, the pair encoding gives {sorted(given)}: its family disagrees with itself")

    def score(rows: Sequence[Row]) -> NDArray[np.float32]:
        return run(pack(rows, bundle))

    return score


def _onnxruntime(graph: Path) -> tuple[Run, set[str]]:
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(["logits"], inputs)[0]
        return logits

    return run, {node.name for node in session.get_inputs()}


def _openvino(graph: Path) -> tuple[Run, set[str]]:
    compiled = openvino.Core().compile_model(str(graph), "CPU", {"INFERENCE_PRECISION_HINT": openvino.Type.bf16})

    def run(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = compiled(dict(inputs))[0]
        return logits.copy()

    return run, {port.any_name for port in compiled.inputs}


def _first_difference(first: Sequence[int], second: Sequence[int]) -> int:
    return next(
        (place for place, (one, other) in enumerate(zip(first, second, strict=False)) if one != other), min(len(first), len(second))
    )
