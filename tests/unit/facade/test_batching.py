"""python -m pytest tests/unit/facade/test_batching.py

Plans hold every row once and keep the budget. One kind wastes no batch, the other one no token.
"""

from collections.abc import Callable, Sequence
from itertools import chain, combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.batching import cheapest_plan, plan

LENGTHS = st.lists(st.integers(1, 600), max_size=600)
BUDGET = st.integers(1, 4096)
PLANS = pytest.mark.parametrize(
    "planned", [plan, lambda lengths, budget: cheapest_plan(lengths, budget, 48)], ids=["plan", "cheapest_plan"]
)
Planned = Callable[[Sequence[int], int], list[list[int]]]


@PLANS
@given(lengths=LENGTHS, budget=BUDGET)
def test_every_row_is_in_exactly_one_batch(planned: Planned, lengths: list[int], budget: int) -> None:
    assert sorted(chain.from_iterable(planned(lengths, budget))) == list(range(len(lengths)))


@PLANS
@given(lengths=LENGTHS, budget=BUDGET)
def test_no_batch_costs_more_than_the_budget_except_a_single_row(planned: Planned, lengths: list[int], budget: int) -> None:
    for batch in planned(lengths, budget):
        assert batch
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


@PLANS
@given(lengths=LENGTHS, budget=BUDGET)
def test_rows_are_sorted_by_length_and_equal_ones_keep_their_order(planned: Planned, lengths: list[int], budget: int) -> None:
    order = list(chain.from_iterable(planned(lengths, budget)))
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


def cost(lengths: Sequence[int], batches: Sequence[Sequence[int]], batch_cost: int) -> int:
    return sum(batch_cost + len(batch) * max(lengths[row] for row in batch) for batch in batches)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=9), st.integers(40, 120), st.integers(0, 30))
def test_no_other_cut_of_the_sorted_rows_is_cheaper(lengths: list[int], budget: int, batch_cost: int) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    every = (
        [order[start:end] for start, end in pairwise((0, *cuts, len(order)))]
        for count in range(len(order))
        for cuts in combinations(range(1, len(order)), count)
    )
    allowed = (batches for batches in every if all(len(batch) * lengths[batch[-1]] <= budget for batch in batches))
    found = cost(lengths, cheapest_plan(lengths, budget, batch_cost), batch_cost)
    assert found == min(cost(lengths, batches, batch_cost) for batches in allowed)


@pytest.mark.parametrize(
    ("batch_cost", "batches"),
    [(0, [[0], [1], [2, 3]]), (3, [[0, 1], [2, 3]]), (1000, [[0, 1, 2, 3]])],
)
def test_a_batch_ends_where_padding_would_cost_more_than_another_one(batch_cost: int, batches: list[list[int]]) -> None:
    assert cheapest_plan([10, 12, 30, 30], 1 << 20, batch_cost) == batches
