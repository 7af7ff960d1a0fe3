"""python -m pytest tests/unit/facade/reranking/test_tokenizer_words.py

Whatever came before, a text's ids are the tokenizer's own.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, pre_tokenizers

from facade.reranking.bundle import TOKENIZER, Bundle
from facade.reranking.tokenizer import WordCache, stops_at_spaces, text_ids
from tests.unit.facade.reranking.test_pairs import PIECE, TEXT

pytest.importorskip("torch")

from tests.tiny_checkpoints import save

PAIRS = Path(__file__).resolve().parents[3] / "data" / "squad_pairs.json"


@pytest.fixture(scope="module")
def tokenizer(bundle: Bundle) -> Tokenizer:
    return plain(bundle.folder / TOKENIZER)


@pytest.fixture(scope="module")
def words(tokenizer: Tokenizer) -> WordCache:
    """One for all examples, so that each meets what others have left."""
    return WordCache(tokenizer)


def plain(path: Path) -> Tokenizer:
    """Without the cutting and padding that a file may ask for."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class Counting:
    """A tokenizer that keeps what it was asked for."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.asked: list[str] = []

    def encode_batch(self, texts: Sequence[str], **how: Any) -> Any:
        self.asked += texts
        return self._tokenizer.encode_batch(texts, **how)

    def encode_batch_fast(self, texts: Sequence[str], **how: Any) -> Any:
        self.asked += texts
        return self._tokenizer.encode_batch_fast(texts, **how)


# A space on either side of everything that may join to its neighbours.
SPACED = st.lists(PIECE, max_size=20).map(" ".join)


@given(st.lists(TEXT | SPACED, max_size=6))
@example(["", " ", "  ", "a  b", " a", "a "])
@example(["e \u0301 e\u0301", "[MASK] [ MASK ]", "\x00 a\x00 \x00b", "\u2028 \u00a0 \u3000"])
def test_ids_are_the_tokenizers_own(words: WordCache, tokenizer: Tokenizer, texts: list[str]) -> None:
    assert words.ids(texts) == text_ids(tokenizer, texts)


def test_ids_of_language_are_the_tokenizers_own(words: WordCache, tokenizer: Tokenizer) -> None:
    texts = [text for asked in json.loads(PAIRS.read_text()) for text in (asked["query"], *asked["passages"])]
    for _ in range(2):
        assert words.ids(texts) == text_ids(tokenizer, texts)


def test_a_word_that_came_before_is_not_tokenised_again(tokenizer: Tokenizer) -> None:
    counting = Counting(tokenizer)
    words = WordCache(counting)  # type: ignore[arg-type]
    words.ids(["the quick brown fox", "the lazy dog"])
    counting.asked.clear()
    assert words.ids(["the quick dog jumps"]) == text_ids(tokenizer, ["the quick dog jumps"])
    assert [text for text in counting.asked if text] == ["jumps"]


def test_long_words_are_not_kept_and_cost_the_other_texts_nothing(tokenizer: Tokenizer) -> None:
    counting = Counting(tokenizer)
    words = WordCache(counting)  # type: ignore[arg-type]
    texts = ["see https://example.org/" + "a" * 40, "the quick brown fox"]
    for _ in range(2):
        counting.asked.clear()
        assert words.ids(texts) == text_ids(tokenizer, texts)
    assert [text for text in counting.asked if text] == texts[:1]


def test_what_is_kept_has_a_limit(tokenizer: Tokenizer) -> None:
    words = WordCache(tokenizer, most_known=100, most_new=50)
    most = 0
    for start in range(0, 1000, 40):
        texts = [" ".join(f"word{number}" for number in range(start, start + 40))]
        assert words.ids(texts) == text_ids(tokenizer, texts)
        most = max(most, len(words))
    assert 100 < most <= 150
    many = [" ".join(f"other{number}" for number in range(51)), "word999"]
    known = len(words)
    assert words.ids(many) == text_ids(tokenizer, many)
    assert len(words) <= known


def test_threads_do_not_disturb_each_other(tokenizer: Tokenizer) -> None:
    words = WordCache(tokenizer, most_known=200)
    asked = [[f"word{number} and {number * step} of them" for number in range(step, step + 30)] for step in range(1, 60)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(words.ids, asked)) == [text_ids(tokenizer, texts) for texts in asked]


def test_text_that_is_no_unicode_is_refused_and_leaves_nothing_behind(tokenizer: Tokenizer) -> None:
    words = WordCache(tokenizer)
    with pytest.raises(TypeError):
        words.ids(["fine", "not \ud800 fine"])
    assert words.ids(["fine not"]) == text_ids(tokenizer, ["fine not"])
    assert len(words) == 2


@pytest.mark.parametrize(
    ("family", "stops"), [("bert", True), ("electra", True), ("distilbert", True), ("roberta", False), ("xlm-roberta", False)]
)
def test_which_tokenizers_stop_at_spaces(family: str, stops: bool, tmp_path: Path) -> None:
    assert stops_at_spaces(plain(save(family, tmp_path) / TOKENIZER)) is stops


@pytest.mark.parametrize("token", [AddedToken("new york"), AddedToken("[BIG]", lstrip=True), AddedToken("[BIG]", rstrip=True)])
def test_words_that_were_added_across_spaces_leave_the_tokenizer_to_itself(bundle: Bundle, token: AddedToken) -> None:
    tokenizer = plain(bundle.folder / TOKENIZER)
    assert stops_at_spaces(tokenizer)
    tokenizer.add_tokens([token])
    assert not stops_at_spaces(tokenizer)


def test_another_way_to_part_words_leaves_the_tokenizer_to_itself(bundle: Bundle) -> None:
    tokenizer = plain(bundle.folder / TOKENIZER)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.ByteLevel()])
    assert not stops_at_spaces(tokenizer)
