"""python -m pytest tests/unit/facade/reranking/test_batching.py

Plans hold every row once, keep the budget, and waste no batch. A picked batch has the first row, and no more padding than is worth it.
"""

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.reranking.batching import pick, plan

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


COST = st.integers(0, 200)


@given(st.lists(st.integers(1, 600), min_size=1, max_size=200), BUDGET, COST)
def test_a_picked_batch_has_the_first_row_keeps_the_budget_and_is_worth_its_padding(
    lengths: list[int], budget: int, batch_cost: int
) -> None:
    batch = pick(lengths, budget, batch_cost)
    assert 0 in batch
    assert len(set(batch)) == len(batch)
    longest = max(lengths[row] for row in batch)
    assert len(batch) == 1 or len(batch) * longest <= budget
    assert sum(longest - lengths[row] for row in batch) <= batch_cost


@given(st.lists(st.integers(1, 600), min_size=1, max_size=200), BUDGET, COST)
def test_nothing_that_is_left_is_of_a_length_between_those_picked(lengths: list[int], budget: int, batch_cost: int) -> None:
    batch = pick(lengths, budget, batch_cost)
    shortest, longest = min(lengths[row] for row in batch), max(lengths[row] for row in batch)
    assert not any(shortest < lengths[row] < longest for row in set(range(len(lengths))) - set(batch))


@pytest.mark.parametrize(
    ("lengths", "budget", "batch_cost", "batch"),
    [
        ([5], 1, 0, [0]),
        ([5, 5, 5], 10, 0, [0, 1]),
        ([30, 10, 30, 12], 100, 0, [0, 2]),
        ([30, 10, 30, 28], 100, 1, [0, 2]),
        ([30, 10, 30, 28], 100, 2, [0, 2, 3]),
        ([30, 10, 30, 28], 89, 2, [0, 2]),
        ([10, 12, 90], 1000, 2, [0, 1]),  # a longer one may join, too
        ([10, 10, 12], 1000, 3, [0, 1]),  # but then pads all others
        ([10, 10, 12], 1000, 4, [0, 1, 2]),
        ([20, 22, 19], 1000, 2, [0, 2]),  # the nearest first
        ([10, 500, 300], 1000, 1 << 20, [0, 2]),
    ],
)
def test_picked_batches_are_these(lengths: list[int], budget: int, batch_cost: int, batch: list[int]) -> None:
    assert sorted(pick(lengths, budget, batch_cost)) == batch


@pytest.mark.parametrize(
    ("lengths", "together", "budget", "batch_cost", "batch"),
    [
        ([10, 30, 20], 3, 100, 15, [0, 1, 2]),  # 30 tokens of padding, as much as two more batches cost
        ([10, 30, 20], 3, 100, 14, [0, 2]),
        ([10, 30, 20], 3, 89, 15, [0, 2]),  # over the budget
        ([10, 30, 20, 19, 29], 3, 150, 15, [0, 1, 2, 4, 3]),  # then others join, those of nearest length first
        ([10, 30, 20, 19, 29], 3, 149, 15, [0, 1, 2, 4]),
        ([10, 30, 20, 19, 29], 3, 150, 11, [0, 3, 2]),
        ([10, 30, 33], 2, 100, 20, [0, 1, 2]),  # a longer one pads those that are there
        ([10, 30, 41], 2, 200, 20, [0, 1]),
    ],
)
def test_rows_of_one_call_are_picked_together_where_that_costs_no_more(
    lengths: list[int], together: int, budget: int, batch_cost: int, batch: list[int]
) -> None:
    assert pick(lengths, budget, batch_cost, together) == batch
