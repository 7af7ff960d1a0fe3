"""python -m pytest tests/unit/reranker/test_scoring.py

Every row of a batch gets its own outcome, and one that can't be scored fails alone.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.errors import ScoringError
from reranker.scoring import score
from tests.unit.reranker.summing import INFINITE, NAN, POISON, Summing, expected, row

IDS = st.lists(st.integers(1, 100), min_size=1, max_size=30)
FATES = st.sampled_from([1, 1, 1, 1, POISON, NAN, INFINITE])


@given(st.lists(st.tuples(IDS, FATES), min_size=1, max_size=40))
def test_every_row_has_its_own_outcome_whatever_becomes_of_the_others(drawn: list[tuple[list[int], int]]) -> None:
    rows = [row(*ids, fate) for ids, fate in drawn]
    outcomes = score(Summing(), rows)
    assert len(outcomes) == len(rows)
    for (_, fate), scored, outcome in zip(drawn, rows, outcomes, strict=True):
        if fate == 1:
            assert outcome == expected(scored)
        else:
            assert isinstance(outcome, ScoringError)
            assert ("poison" in outcome.message) == (fate == POISON)


@given(st.lists(IDS, min_size=1, max_size=40), st.integers(30, 400))
def test_a_device_that_is_out_of_memory_is_given_less_at_a_time(drawn: list[list[int]], memory: int) -> None:
    rows = [row(*ids) for ids in drawn]
    assert score(Summing(memory=memory), rows) == [expected(scored) for scored in rows]


def test_a_fault_is_found_by_halving_not_row_by_row() -> None:
    engine = Summing()
    outcomes = score(engine, [row(number + 1) for number in range(63)] + [row(POISON)])
    assert [index for index, outcome in enumerate(outcomes) if isinstance(outcome, ScoringError)] == [63]
    assert len(engine.shapes) == 13  # the whole, and both halves at each of six steps


def test_the_error_names_the_engine() -> None:
    (outcome,) = score(Summing(), [row(POISON)])
    assert isinstance(outcome, ScoringError)
    assert outcome.message == "the summing engine failed: poison"


@pytest.mark.parametrize("fate", [NAN, INFINITE])
def test_a_logit_that_is_no_finite_number_is_an_error(fate: int) -> None:
    first, second, third = score(Summing(), [row(1), row(fate), row(2)])
    assert (first, third) == (1.0, 2.0)
    assert isinstance(second, ScoringError)
