"""python -m pytest tests/unit/facade/reranking/test_token_limits.py

Limits of a request's own cut passages from their ends, and nothing else.
"""

import pytest

from facade.reranking.bundle import Bundle
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.token_ids import unpacked
from facade.reranking.token_limits import NO_LIMITS, TokenLimits, limited


@pytest.fixture
def pairs(bundle: Bundle) -> TokenPairs:
    return PairTokenizer(bundle, 512).encode("which rock floats", ["pumice", "lava " * 50, "ash " * 600], truncate=True)


def test_without_limits_nothing_changes(pairs: TokenPairs) -> None:
    assert limited(pairs, NO_LIMITS) is pairs
    assert limited(pairs, TokenLimits(pair=512, passage=4096)) == pairs


@pytest.mark.parametrize(
    ("limits", "lengths"),
    [
        (TokenLimits(passage=20), lambda whole, fixed: min(whole, fixed + 20)),
        (TokenLimits(pair=30), lambda whole, _: min(whole, 30)),
        (TokenLimits(pair=1), lambda _, fixed: fixed),
        (TokenLimits(pair=40, passage=10), lambda whole, fixed: min(whole, 40, fixed + 10)),
    ],
)
def test_a_passage_loses_its_end_and_the_rest_stays(pairs: TokenPairs, limits: TokenLimits, lengths: object) -> None:
    cut = limited(pairs, limits)
    after = len(pairs.bundle.pair_encoding.after_passage)
    fixed = pairs.query_length + after
    for index, (whole, row) in enumerate(zip(pairs.rows, cut.rows, strict=True)):
        before, now = unpacked(whole).tolist(), unpacked(row).tolist()
        assert len(now) == lengths(len(before), fixed)  # type: ignore[operator]
        kept = len(now) - after
        assert now == before[:kept] + before[len(before) - after :]
        assert (index in cut.truncated) == (len(now) < len(before) or index in pairs.truncated)
