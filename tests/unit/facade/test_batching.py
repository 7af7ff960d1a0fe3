"""python -m pytest tests/unit/facade/test_batching.py

Plans hold every row once, keep the budget, and waste no batch.
"""

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.batching import plan

LENGTHS = st.lists(st.integers(1, 600), max_size=600)
BUDGET = st.integers(1, 4096)


@given(LENGTHS, BUDGET)
def test_every_row_is_in_exactly_one_batch(lengths: list[int], budget: int) -> None:
    assert sorted(chain.from_iterable(plan(lengths, budget))) == list(range(len(lengths)))


@given(LENGTHS, BUDGET)
def test_no_batch_costs_more_than_the_budget_except_a_single_row(lengths: list[int], budget: int) -> None:
    for batch in plan(lengths, budget):
        assert batch
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


@given(LENGTHS, BUDGET)
def test_rows_are_sorted_by_length_and_equal_ones_keep_their_order(lengths: list[int], budget: int) -> None:
    order = list(chain.from_iterable(plan(lengths, budget)))
    assert order == sorted(range(len(lengths)), key=lambda row: (lengths[row], row))


@given(LENGTHS, BUDGET)
def test_no_batch_ends_while_its_next_row_has_room(lengths: list[int], budget: int) -> None:
    for batch, following in pairwise(plan(lengths, budget)):
        assert (len(batch) + 1) * lengths[following[0]] > budget


@pytest.mark.parametrize(
    ("lengths", "budget", "batches"),
    [
        ([], 10, []),
        ([5], 1, [[0]]),
        ([5, 5], 10, [[0, 1]]),
        ([5, 5], 9, [[0], [1]]),
        ([9, 1, 1, 4], 8, [[1, 2], [3], [0]]),
        ([1, 1, 1, 1], 2, [[0, 1], [2, 3]]),
        ([2, 3, 3], 9, [[0, 1, 2]]),
        ([2, 3, 3], 8, [[0, 1], [2]]),
    ],
)
def test_plans_are_these(lengths: list[int], budget: int, batches: list[list[int]]) -> None:
    assert plan(lengths, budget) == batches
