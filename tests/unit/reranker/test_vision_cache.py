"""python -m pytest tests/unit/reranker/test_vision_cache.py

The cache of features keeps what was used last, within its bytes.
"""

import numpy as np

from reranker.vision.cache import FeatureCache

FOUR = np.ones((1, 1), np.float32)  # bytes
EIGHT = np.ones((2, 1), np.float32)


def test_what_was_used_last_stays() -> None:
    cache = FeatureCache(12)
    for digest in (b"a", b"b", b"c"):
        cache.put(digest, FOUR)
    assert cache.get(b"a") is FOUR
    cache.put(b"d", FOUR)
    assert [cache.get(digest) is not None for digest in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert cache.size == 12


def test_several_go_for_a_larger_one() -> None:
    cache = FeatureCache(12)
    for digest in (b"a", b"b", b"c"):
        cache.put(digest, FOUR)
    cache.put(b"d", EIGHT)
    assert [cache.get(digest) is not None for digest in (b"a", b"b", b"c", b"d")] == [False, False, True, True]
    assert cache.size == 12


def test_what_is_larger_than_all_of_it_is_not_kept() -> None:
    cache = FeatureCache(4)
    cache.put(b"a", FOUR)
    cache.put(b"b", EIGHT)
    assert cache.get(b"a") is FOUR
    assert cache.get(b"b") is None


def test_without_bytes_nothing_is_kept() -> None:
    cache = FeatureCache(0)
    cache.put(b"a", FOUR)
    assert cache.get(b"a") is None
    assert cache.size == 0


def test_the_same_is_kept_once() -> None:
    cache = FeatureCache(8)
    cache.put(b"a", FOUR)
    cache.put(b"a", FOUR)
    assert cache.size == 4
