"""BM25 over an inverted index in three arrays. Knows strings and scores, no data set.

Terms are lower-cased runs of [a-z0-9]; k1 0.9 and b 0.4 suit passages; idf is ln(1 + (N - df + 0.5) / (df + 0.5)).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TERM = re.compile(r"[a-z0-9]+")


def terms(text: str) -> list[str]:
    """The terms of `text`, in order, repeats kept."""
    return TERM.findall(text.lower())


class BM25:
    """An index of passages; it can't grow. A query term counts as often as it occurs in the query."""

    def __init__(self, passages: Sequence[str], k1: float = 0.9, b: float = 0.4) -> None:
        self._size = len(passages)
        self._columns: dict[str, int] = {}
        rows: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        lengths = np.zeros(self._size)
        for row, passage in enumerate(passages):
            occurrences = Counter(terms(passage))
            lengths[row] = occurrences.total()
            rows.extend([row] * len(occurrences))
            columns.extend(self._columns.setdefault(term, len(self._columns)) for term in occurrences)
            counts.extend(occurrences.values())
        by_term = np.argsort(np.asarray(columns, dtype=np.int64), kind="stable")
        term_of = np.asarray(columns, dtype=np.int64)[by_term]
        self._rows = np.asarray(rows, dtype=np.int64)[by_term]
        documents = np.bincount(term_of, minlength=len(self._columns))
        self._starts = np.concatenate([[0], np.cumsum(documents)])
        idf = np.log1p((self._size - documents + 0.5) / (documents + 0.5))
        frequency = np.asarray(counts, dtype=np.float64)[by_term]
        relative_length = lengths / max(lengths.sum() / max(self._size, 1), 1.0)
        saturation = frequency + k1 * (1 - b + b * relative_length[self._rows])
        self._best = (idf * (k1 + 1)).astype(np.float32)
        self._weights = (idf[term_of] * frequency * (k1 + 1) / saturation).astype(np.float32)

    def scores(self, query: str) -> NDArray[np.float32]:
        """A score for every passage, FP32 [passages]; 0 where no term occurs."""
        total = np.zeros(self._size, dtype=np.float32)
        for term, count in Counter(terms(query)).items():
            column = self._columns.get(term)
            if column is not None:
                postings = slice(self._starts[column], self._starts[column + 1])
                total[self._rows[postings]] += count * self._weights[postings]
        return total

    def bound(self, query: str) -> float:
        """A score that no passage can exceed for this query; 0 where it has no known term."""
        counts = Counter(terms(query))
        return float(sum(count * self._best[self._columns[term]] for term, count in counts.items() if term in self._columns))

    def top(self, query: str, count: int) -> list[int]:
        """The indices of the `count` best passages, best first; ties by index."""
        return best(self.scores(query), count)


def best(scores: NDArray[np.float32], count: int) -> list[int]:
    """The indices of the `count` highest scores, highest first; ties by index."""
    if count >= len(scores):
        return [int(index) for index in np.argsort(-scores, kind="stable")]
    threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
    candidates = np.flatnonzero(scores >= threshold)
    return [int(index) for index in candidates[np.argsort(-scores[candidates], kind="stable")][:count]]
