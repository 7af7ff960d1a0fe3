"""Scale and bias, and the errors of a threshold of 0."""

import numpy as np
import pytest

from scripts.training.calibration import Bin, Scaling, errors_at_zero, expected_error, fit, probability, reliability


def test_fit_finds_the_scale_and_bias_that_labels_were_drawn_with() -> None:
    generator = np.random.default_rng(3)
    truth = generator.normal(-3, 3, 40_000)
    relevant = generator.random(len(truth)) < probability(truth)
    scaling = fit((truth + 5) / 2, relevant)
    assert scaling.scale == pytest.approx(2, abs=0.1)
    assert scaling.bias == pytest.approx(-5, abs=0.2)
    assert expected_error(reliability(scaling.apply((truth + 5) / 2), relevant)) < 0.01


def test_fit_copes_with_large_logits() -> None:
    generator = np.random.default_rng(3)
    logits = np.concatenate([generator.normal(-400, 300, 500), generator.normal(400, 300, 500)])
    scaling = fit(logits, np.repeat([0, 1], 500))
    assert errors_at_zero(scaling.apply(logits), np.repeat([0, 1], 500)).relevant_below == pytest.approx(0.09, abs=0.03)


@pytest.mark.parametrize(
    ("logits", "relevant"),
    [([1.0, 2.0], [1, 1]), ([1.0, 2.0, 3.0, 4.0], [1, 1, 0, 0])],
    ids=["one kind only", "falling with relevance"],
)
def test_fit_refuses_logits_that_do_not_rise_with_relevance(logits: list[float], relevant: list[int]) -> None:
    with pytest.raises(ValueError, match=r"calibration needs|don't rise"):
        fit(logits, relevant)


def test_a_scaling_keeps_the_order() -> None:
    logits = np.random.default_rng(1).normal(size=100)
    assert (np.argsort(Scaling(0.3, -2).apply(logits)) == np.argsort(logits)).all()


def test_errors_are_shares_of_each_kind() -> None:
    errors = errors_at_zero([1.0, -1.0, 2.0, -2.0, -3.0], [1, 1, 0, 0, 0])
    assert errors.relevant_below == 0.5
    assert errors.irrelevant_above == pytest.approx(1 / 3)


def test_bins_hold_pairs_of_similar_probability() -> None:
    bins = reliability([-10.0, -10.0, 0.0, 10.0], [0, 0, 1, 1])
    assert [(entry.pairs, entry.relevant) for entry in bins] == [(2, 0), (1, 1), (1, 1)]
    assert expected_error([Bin(3, 0.2, 0.5), Bin(1, 0.9, 0.9)]) == pytest.approx(0.225)
