"""python -m pytest tests/unit/facade/reranking/test_token_ids.py

Ids come back as they were, and take the bytes that they are said to take, on their way through a request, too.
"""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.reranking.bundle import Bundle
from facade.reranking.pairs import PairTokenizer
from facade.reranking.token_ids import WIDTH, count, first, packed, unpacked

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=50)


@given(IDS, st.integers(0, 60))
def test_ids_come_back_as_they_were(ids: list[int], most: int) -> None:
    held = packed(ids)
    assert unpacked(held).dtype == np.int32
    assert unpacked(held).tolist() == ids
    assert (count(held), len(held)) == (len(ids), WIDTH * len(ids))
    assert unpacked(first(held, most)).tolist() == ids[:most]


@given(IDS, IDS)
def test_they_are_joined_and_compared_as_bytes(one: list[int], other: list[int]) -> None:
    assert packed(one) + packed(other) == packed([*one, *other])
    assert (packed(one) == packed(other)) is (one == other)


def test_an_id_that_is_none_is_an_error() -> None:
    with pytest.raises(OverflowError):
        packed([2**31])


def test_a_request_takes_five_bytes_a_token(bundle: Bundle) -> None:
    """Where a list's integers took up to 40."""
    tokenizer = PairTokenizer(bundle, bundle.max_seq_len)
    passages = [" ".join(f"x{number * place}" for place in range(60)) for number in range(128)]
    tokenizer.encode("which one?", passages, truncate=True)  # so that what is kept for later requests counts no more
    tracemalloc.start()
    try:
        pairs = tokenizer.encode("which one?", passages, truncate=True)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 5 * sum(pairs.lengths())
