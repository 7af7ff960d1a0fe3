"""Types of command line options, for argparse: a wrong value ends the command with one line that says what is expected."""

from __future__ import annotations

import argparse
import math


def whole(text: str, least: int = 0) -> int:
    """A whole number of at least `least`."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text!r}")
    return number


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return whole(text, 1)


def duration(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number
