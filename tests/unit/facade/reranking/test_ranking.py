"""python -m pytest tests/unit/facade/reranking/test_ranking.py

Highest logit first, equal ones in the request's order, and nothing ranked that is no number.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.errors import ScoringError
from facade.reranking.ranking import Ranking, rank

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
# Few values, so that ties are the rule.
TIED = st.sampled_from([-1.5, -0.0, 0.0, 2.0])
LOGITS = st.lists(FINITE, max_size=512) | st.lists(TIED, max_size=512)


@given(LOGITS)
def test_every_passage_is_ranked_once_with_its_own_logit(logits: list[float]) -> None:
    rankings = rank(logits)
    assert sorted(ranking.index for ranking in rankings) == list(range(len(logits)))
    assert all(ranking.logit == logits[ranking.index] for ranking in rankings)


@given(LOGITS)
def test_the_order_is_by_falling_logit_then_by_index(logits: list[float]) -> None:
    keys = [(-ranking.logit, ranking.index) for ranking in rank(logits)]
    assert keys == sorted(keys)


def test_equal_logits_keep_the_requests_order_and_minus_zero_equals_zero() -> None:
    assert [ranking.index for ranking in rank([0.0, 1.0, -0.0, 1.0, 0.0])] == [1, 3, 0, 2, 4]


def test_logits_stay_as_they_came() -> None:
    assert rank(np.array([0.1, -7.25], np.float32).tolist()) == [Ranking(0, 0.10000000149011612), Ranking(1, -7.25)]


@given(st.lists(FINITE | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=40), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_no_finite_number_is_refused_with_its_indexes(logits: list[float], bad: float) -> None:
    logits = [*logits, bad, 0.0]
    with pytest.raises(ScoringError) as refused:
        rank(logits)
    assert refused.value.detail == {"passages": [index for index, logit in enumerate(logits) if not math.isfinite(logit)]}
