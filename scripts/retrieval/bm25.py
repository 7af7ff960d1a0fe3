"""BM25 by the library bm25s: passages and a query -> scores. Does not know any data set.

k1 0.9 and b 0.4 suit passages; idf is ln(1 + (N - df + 0.5) / (df + 0.5)), as in Lucene.
"""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np
from numpy.typing import NDArray

from scripts.retrieval.text import terms


class BM25:
    """A fixed index of at least one passage. A query term counts as often as it occurs in the query."""

    def __init__(self, passages: Sequence[str], k1: float = 0.9, b: float = 0.4) -> None:
        self._size = len(passages)
        self._index = bm25s.BM25(k1=k1, b=b, method="lucene", backend="numpy")
        self._index.index([terms(passage) for passage in passages], show_progress=False)
        holding = np.diff(self._index.scores["indptr"])  # passages with each term
        self._idf = np.log1p((self._size - holding + 0.5) / (holding + 0.5)).astype(np.float32)

    def scores(self, query: str) -> NDArray[np.float32]:
        """A score for each passage, FP32 [passages]; 0 without a common term."""
        known = self._known(query)
        found: NDArray[np.float32] = self._index.get_scores(known) if known else np.zeros(self._size, dtype=np.float32)
        return found

    def bound(self, query: str) -> float:
        """An upper bound of all scores for this query; 0 without a known term."""
        return float(sum(self._idf[self._index.vocab_dict[term]] for term in self._known(query)))

    def top(self, query: str, count: int) -> list[int]:
        """The indices of the `count` best passages, best first; ties by index."""
        return best(self.scores(query), count)

    def _known(self, query: str) -> list[str]:
        return [term for term in terms(query) if term in self._index.vocab_dict]


def best(scores: NDArray[np.float32], count: int) -> list[int]:
    """The indices of the `count` highest scores, highest first; ties by index."""
    if count >= len(scores):
        return [int(index) for index in np.argsort(-scores, kind="stable")]
    threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
    candidates = np.flatnonzero(scores >= threshold)
    return [int(index) for index in candidates[np.argsort(-scores[candidates], kind="stable")][:count]]
