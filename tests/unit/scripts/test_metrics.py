"""Ranking measures on rankings small enough to check by hand."""

import math

import pytest

from scripts.retrieval.metrics import ndcg, paired_bootstrap, reciprocal_rank


@pytest.mark.parametrize(("place", "gain"), [(0, 1.0), (1, 1 / math.log2(3)), (9, 1 / math.log2(11)), (10, 0.0)])
def test_ndcg_of_one_relevant_passage(place: int, gain: float) -> None:
    assert ndcg(list(range(20)), {place}) == pytest.approx(gain)


def test_ndcg_of_several_is_one_when_they_lead() -> None:
    assert ndcg([4, 2, 7], {2, 4}) == pytest.approx(1.0)
    assert ndcg([7, 4, 2], {2, 4}) < 1


def test_nothing_relevant_is_zero() -> None:
    assert ndcg([1, 2], set()) == 0
    assert reciprocal_rank([1, 2], {3}) == 0


def test_reciprocal_rank_stops_at_its_depth() -> None:
    assert reciprocal_rank([5, 6, 7], {7}) == pytest.approx(1 / 3)
    assert reciprocal_rank([5, 6, 7], {7}, depth=2) == 0


def test_bootstrap_holds_the_mean_and_repeats_itself() -> None:
    first, second = [0.1, 0.5, 0.9, 0.3], [0.4, 0.5, 1.0, 0.2]
    interval = paired_bootstrap(first, second, samples=500)
    assert interval.mean == pytest.approx(0.075)
    assert interval.low <= interval.mean <= interval.high
    assert interval == paired_bootstrap(first, second, samples=500)


def test_bootstrap_of_a_constant_gain_is_a_point() -> None:
    interval = paired_bootstrap([0.0, 0.25], [0.5, 0.75], samples=50)
    assert (interval.low, interval.mean, interval.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("first", "second"), [([1.0], [1.0, 2.0]), ([], [])])
def test_bootstrap_refuses_values_that_do_not_pair(first: list[float], second: list[float]) -> None:
    with pytest.raises(ValueError, match="one shape"):
        paired_bootstrap(first, second)
