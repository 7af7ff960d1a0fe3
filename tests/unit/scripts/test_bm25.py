"""The first-stage ranker of training and evaluation."""

import math

import numpy as np
import pytest

from scripts.retrieval.bm25 import BM25, best

PASSAGES = ["the cat sat", "the dog sat on the mat", "a bird", ""]


def test_score_is_the_formula() -> None:
    idf = math.log(1 + (4 - 1 + 0.5) / (1 + 0.5))
    average = (3 + 6 + 2 + 0) / 4
    expected = idf / (1 + 0.9 * (0.6 + 0.4 * 3 / average))
    assert BM25(PASSAGES).scores("cat")[0] == pytest.approx(expected)


def test_a_repeated_query_term_counts_each_time() -> None:
    index = BM25(PASSAGES)
    assert index.scores("sat sat") == pytest.approx(2 * index.scores("sat"))


def test_unknown_and_missing_terms_score_zero() -> None:
    index = BM25(PASSAGES)
    assert not index.scores("zebra").any()
    assert not index.scores("").any()
    assert index.scores("bird")[3] == 0


def test_no_score_exceeds_the_bound() -> None:
    index = BM25(PASSAGES)
    for query in ("the cat sat sat", "mat", "zebra"):
        assert index.scores(query).max() <= index.bound(query)
    assert index.bound("cat zebra") == pytest.approx(math.log(1 + (4 - 1 + 0.5) / (1 + 0.5)))
    assert index.bound("zebra") == 0


def test_top_puts_the_best_first_and_ties_by_index() -> None:
    index = BM25(["x y", "x y", "x", "z"])
    assert index.top("x", 3) == [2, 0, 1]
    assert index.top("nothing", 2) == [0, 1]


@pytest.mark.parametrize("count", [1, 3, 5, 9])
def test_best_is_a_stable_sort(count: int) -> None:
    scores = np.array([1, 3, 3, 0, 1], dtype=np.float32)
    assert best(scores, count) == [1, 2, 0, 4, 3][:count]
