"""python -m pytest tests/unit/facade/scoring/test_speed.py

A model of a known speed, on a clock of the test's own: what is learnt from it, and what is not.
"""

import pytest

from facade.scoring.speed import Speed


class Model:
    """Computes a number of tokens a second, one batch of a tenth of a second after the other."""

    def __init__(self, tokens_per_s: int) -> None:
        self.now = 0.0
        self.tokens_per_s = tokens_per_s
        self.speed = Speed(lambda: self.now)

    def computes(self, seconds: float, *, left: int) -> None:
        """Work for that time, with this much waiting throughout."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.speed.computed(self.tokens_per_s // 10, left, 0.1)

    def request(self, tokens: int, seconds: float) -> None:
        """One request, alone, after a pause."""
        self.now += 60.0
        self.speed.begins()
        self.now += seconds
        self.speed.computed(tokens, 0, seconds)


def test_nothing_is_known_until_there_was_plenty_to_do() -> None:
    model = Model(20_000)
    for _ in range(10):
        model.request(4_000, 0.4)
    model.computes(10.0, left=9_000)
    assert model.speed.tokens_per_s is None
    model.computes(1.0, left=11_000)
    assert model.speed.tokens_per_s == pytest.approx(20_000)


def test_the_pauses_between_requests_are_no_work() -> None:
    model = Model(10_000)
    model.computes(1.0, left=100_000)
    for _ in range(50):
        model.request(10_000, 0.5)
    assert model.speed.tokens_per_s == pytest.approx(20_000, rel=0.01)


def test_under_load_it_is_the_model_s_own_within_seconds() -> None:
    model = Model(5_000)
    model.computes(1.0, left=100_000)
    model.tokens_per_s = 20_000
    model.computes(8.0, left=100_000)
    assert model.speed.tokens_per_s == pytest.approx(20_000, rel=0.1)


def test_a_model_that_has_become_slower_is_known_to_be_once_there_is_plenty_to_do() -> None:
    model = Model(20_000)
    model.computes(4.0, left=100_000)
    model.tokens_per_s = 2_000
    model.computes(12.0, left=100_000)
    assert model.speed.tokens_per_s == pytest.approx(2_000, rel=0.3)


def test_a_model_that_worked_for_others_at_first_is_not_taken_for_a_slow_one() -> None:
    model = Model(20_000)
    model.speed.begins()
    model.now += 1.2
    model.speed.computed(100, 2_500, 0.005)
    assert model.speed.tokens_per_s is None
    model.computes(1.0, left=100_000)
    assert model.speed.tokens_per_s == pytest.approx(20_000)


def test_once_the_others_are_gone_short_requests_are_enough_to_see_how_fast_it_is() -> None:
    model = Model(20_000)
    model.computes(1.0, left=100_000)
    model.tokens_per_s = 100
    model.computes(60.0, left=100_000)
    assert model.speed.tokens_per_s == pytest.approx(100, rel=0.1)
    for _ in range(10):
        model.request(800, 0.04)
    assert (model.speed.tokens_per_s or 0) > 2_000


def test_requests_that_overlap_do_not_make_it_faster_than_it_is() -> None:
    model = Model(20_000)
    model.computes(4.0, left=100_000)
    for _ in range(20):
        model.speed.begins()
        model.computes(0.7, left=100_000)
        model.now += 0.01
        model.speed.computed(2_000, 0, 0.1)  # nearly all of it was computed in the interval before
    assert model.speed.tokens_per_s == pytest.approx(20_000, rel=0.05)


def test_a_model_that_has_little_to_do_is_not_taken_for_a_slow_one() -> None:
    model = Model(20_000)
    model.computes(4.0, left=100_000)
    for _ in range(100):
        model.request(1_000, 1.0)
    model.computes(30.0, left=500)
    assert model.speed.tokens_per_s == pytest.approx(20_000)
