"""Compares a graph's logits with the reference's on random pairs of all lengths. Knows no checkpoint format.

The reference sees each row alone; the graph sees each row alone and padded among rows of other lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from facade.bundle import PairEncoding

Tensors = dict[str, NDArray[np.int64]]
Scorer = Callable[[Tensors], NDArray[np.float32]]

TOLERANCE = 1e-4  # in logits; fp32 kernels of two runtimes differ by about a hundredth of it
ROWS_PER_BATCH = 8
SEED = 20


@dataclass(frozen=True)
class Row:
    """One encoded pair: token ids and their segments."""

    ids: list[int]
    segments: list[int]


@dataclass(frozen=True)
class Comparison:
    """Absolute differences of logits, FP32 [rows]: each row's larger one of alone and padded."""

    lengths: list[int]
    differences: NDArray[np.float32]

    @property
    def failures(self) -> list[str]:
        """One line for each row above the tolerance; a NaN is above it."""
        return [
            f"pair {index} ({length} tokens): logits differ by {difference:.3g}"
            for index, (length, difference) in enumerate(zip(self.lengths, self.differences, strict=True))
            if not difference <= TOLERANCE
        ]


def random_rows(encoding: PairEncoding, vocabulary: int, max_seq_len: int, count: int = 64) -> list[Row]:
    """`count` rows of lengths from 1 to `max_seq_len`, half of them short; the shortest are cut into the template."""
    generator = np.random.default_rng(SEED)
    half = count // 2
    lengths = [*np.linspace(1, max_seq_len, half), *np.geomspace(1, max_seq_len, count - half)]
    return [_random_row(generator, encoding, vocabulary, round(length)) for length in lengths]


def _random_row(generator: np.random.Generator, encoding: PairEncoding, vocabulary: int, length: int) -> Row:
    around = len(encoding.before_query) + len(encoding.between) + len(encoding.after_passage)
    words = max(length - around, 0)
    query_words = int(generator.integers(0, min(words, 32) + 1))
    drawn = generator.integers(0, vocabulary, words).tolist()
    first = [*encoding.before_query, *drawn[:query_words], *encoding.between]
    second = [*drawn[query_words:], *encoding.after_passage]
    segments = [0] * len(first) + [int(encoding.segment_ids)] * len(second)
    return Row((first + second)[:length], segments[:length])


def pad(rows: list[Row], pad_id: int) -> Tensors:
    """The graph's three inputs, INT64 [rows, longest row], padded on the right."""
    width = max(len(row.ids) for row in rows)
    return {
        "input_ids": np.array([row.ids + [pad_id] * (width - len(row.ids)) for row in rows], dtype=np.int64),
        "attention_mask": np.array([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows], dtype=np.int64),
        "token_type_ids": np.array([row.segments + [0] * (width - len(row.ids)) for row in rows], dtype=np.int64),
    }


def graph_scorer(path: Path) -> Scorer:
    """Scores with the graph at `path` through onnxruntime on the CPU."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def score(tensors: Tensors) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(["logits"], tensors)[0]
        return logits

    return score


def compare(graph: Scorer, reference: Scorer, rows: list[Row], pad_id: int) -> Comparison:
    """Scores every row three times and returns the differences; the batches mix short and long rows."""
    expected = np.concatenate([reference(pad([row], pad_id)) for row in rows])
    alone = np.concatenate([graph(pad([row], pad_id)) for row in rows])
    padded = np.zeros_like(expected)
    order = np.random.default_rng(SEED).permutation(len(rows))
    for start in range(0, len(rows), ROWS_PER_BATCH):
        batch = order[start : start + ROWS_PER_BATCH]
        padded[batch] = graph(pad([rows[index] for index in batch], pad_id))
    differences = np.maximum(np.abs(alone - expected), np.abs(padded - expected))
    return Comparison([len(row.ids) for row in rows], differences)
