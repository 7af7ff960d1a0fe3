"""Logits -> relevance scores from 0 to 1, as most rerank APIs give them. Pure."""

from math import exp

# Some JSON parsers make another type of a number with more than 18 characters.
_DIGITS = 12


def relevance(logit: float) -> float:
    """sigmoid(logit), to 12 significant digits."""
    small = exp(-abs(logit))  # of the negative one: exp() of a large number overflows
    return float(f"{(1 if logit >= 0 else small) / (1 + small):.{_DIGITS}g}")


def score(logit: float, *, raw: bool) -> float:
    """The logit itself where `raw`, else its relevance."""
    return logit if raw else relevance(logit)
