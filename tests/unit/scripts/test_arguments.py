"""Numbers on a command line: a wrong one says what is expected."""

import argparse

import pytest

from scripts.arguments import duration, positive, whole


def test_numbers_are_read() -> None:
    assert (whole("0"), positive("7"), duration("0.5")) == (0, 7, 0.5)


@pytest.mark.parametrize("text", ["-1", "1.5", "many", ""])
def test_a_count_is_a_whole_number(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number of at least 0, got"):
        whole(text)


def test_a_positive_count_is_at_least_one() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="at least 1, got '0'"):
        positive("0")


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon"])
def test_a_duration_is_a_finite_number_above_0(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number above 0, got"):
        duration(text)
