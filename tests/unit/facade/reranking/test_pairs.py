"""python -m pytest tests/unit/facade/reranking/test_pairs.py

Pairs put together from ids are the pairs that the tokenizers library makes of two texts in one go, at any limit and for any text.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Encoding, Tokenizer

from facade.errors import BundleError, InputTooLongError, InvalidRequestError, ScoringError
from facade.reranking.bundle import TOKENIZER, Bundle, read_bundle
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.token_ids import count, packed
from tests.unit.conftest import MakeBundle

LIMITS = (8, 9, 16, 33, 64, 128, 512)
LONG, HUGE = 20_000, 100_000  # characters; a token has some four

# What tokenizers stumble over: their own special words, controls, what joins to its neighbours, and scripts without spaces.
PIECES = (
    "",
    " ",
    "the quick brown fox",
    "jumps over electroencephalography",
    "don't stop-me, now!",
    "[SEP]",
    "[CLS]",
    "[PAD][MASK] [UNK]",
    " [sep] ##ing ",
    "\x00",
    "a\x00b",
    "\t\r\n\x07\x1b[0m\x7f",
    "\u200b\ufeff\u00ad\u2028",
    "e\u0301a\u0308\u0323 \u0301",  # combining marks, one of them on nothing
    "\u202e\u05e9\u05dc\u05d5\u05dd\u202c",  # Hebrew, written right to left
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",  # Arabic
    "\u673a\u5668\u5b66\u4e60\u6a21\u578b",  # Chinese
    "\ud55c\uad6d\uc5b4 \u30ab\u30bf\u30ab\u30ca",  # Korean, Japanese
    "\uff26\uff35\uff2c\uff2c \ufb01\u0131\u0130\u00df",  # full width, ligature, what lower case does to I and sharp s
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308",  # emoji joined to a family and a flag
    "\U0010ffff\ufffe",
    "x" * 101,  # over WordPiece's longest word
)
PIECE = st.sampled_from(PIECES) | st.text(max_size=20)
TEXT = st.lists(PIECE, max_size=12).map("".join)
LIMIT = st.sampled_from(LIMITS)


@st.composite
def questions(draw: st.DrawFn, passages: st.SearchStrategy[int]) -> tuple[str, list[str]]:
    """A query and its passages; in one of twenty, one of the texts is huge."""
    texts = [draw(TEXT) for _ in range(draw(passages) + 1)]
    if draw(st.integers(1, 20)) == 7:
        piece = draw(st.sampled_from(PIECES[1:]))
        texts[draw(st.integers(0, len(texts) - 1))] = (piece * (LONG // len(piece) + 1))[:LONG]
    return texts[0], texts[1:]


@dataclass(frozen=True)
class Reference:
    """The library itself, on the same file: whole, and with its own truncation of the second text at each limit."""

    whole: Tokenizer
    cutting: dict[int, Tokenizer]

    def pair(self, query: str, passage: str) -> Encoding:
        """The pair without any limit."""
        return self.whole.encode(query, passage)

    def cut_pair(self, query: str, passage: str, limit: int) -> Encoding | None:
        """The pair at the limit; None where cutting the passage alone can't reach it, for which the library has no answer."""
        try:
            return self.cutting[limit].encode(query, passage)
        except BaseException as error:
            if "too short to respect the provided max_length" not in str(error):
                raise
            return None

    def ids(self, text: str) -> list[int]:
        """One text without special tokens."""
        ids: list[int] = self.whole.encode(text, add_special_tokens=False).ids
        return ids


@pytest.fixture(scope="module")
def reference(bundle: Bundle) -> Reference:
    def load() -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    cutting = {limit: load() for limit in LIMITS}
    for limit, tokenizer in cutting.items():
        tokenizer.enable_truncation(limit, strategy="only_second")
    return Reference(load(), cutting)


@pytest.fixture(scope="module")
def tokenizer_at(bundle: Bundle) -> Callable[[int], PairTokenizer]:
    return cache(lambda limit: PairTokenizer(bundle, limit))


def segments(pairs: TokenPairs, row: int) -> list[int]:
    return [0] * pairs.query_length + [1] * (count(pairs.rows[row]) - pairs.query_length)


@settings(max_examples=250)  # of four pairs each
@given(questions(st.just(4)), LIMIT)
@example(("", ["", "a", "[SEP]", "word " * (HUGE // 5)]), 8)
@example(("one two three four five", ["", "a", "a b", "[CLS]"]), 8)  # fills the limit exactly
@example(("one two three four five six", ["", "a", "a b", "[SEP]"]), 8)  # and is one over it
@example(("word " * (HUGE // 5), ["", "a", "[SEP]" * 600, "\x00"]), 512)
@example(("[SEP]" * 3, ["[CLS]" * 3, "[SEP]" * 9, "", "\u0301" * 9]), 9)
def test_truncated_pairs_are_those_of_the_library(
    reference: Reference, tokenizer_at: Callable[[int], PairTokenizer], question: tuple[str, list[str]], limit: int
) -> None:
    query, passages = question
    pairs = tokenizer_at(limit).encode(query, passages, truncate=True)
    assert len(pairs.rows) == len(passages)
    query_ids, empty = reference.ids(query), reference.pair("", "").ids
    for index, passage in enumerate(passages):
        assert (index in pairs.truncated) == (len(empty) + len(query_ids) + len(reference.ids(passage)) > limit)
        expected = reference.cut_pair(query, passage, limit)
        if expected is not None:
            assert pairs.rows[index] == packed(expected.ids)
            assert segments(pairs, index) == expected.type_ids
        else:
            # The query alone fills the limit: no passage is left, and the query is cut from its right.
            assert len(query_ids) + len(empty) >= limit
            assert count(pairs.rows[index]) == limit
            assert pairs.rows[index] == packed([empty[0], *query_ids[: limit - len(empty)], *empty[1:]])
            assert pairs.query_length == limit - 1


@settings(max_examples=100)
@given(questions(st.integers(1, 6)), LIMIT)
@example(("a", ["a"]), 8)
@example(("a", ["a", "b " * 4, "b " * 5, "", "b " * 600]), 8)
@example(("a " * 600, ["", "b"]), 512)
def test_without_truncation_pairs_are_whole_or_all_that_are_too_long_are_named(
    reference: Reference, tokenizer_at: Callable[[int], PairTokenizer], question: tuple[str, list[str]], limit: int
) -> None:
    query, passages = question
    whole = [reference.pair(query, passage) for passage in passages]
    too_long = {index: len(pair.ids) for index, pair in enumerate(whole) if len(pair.ids) > limit}
    if too_long:
        with pytest.raises(InputTooLongError) as refused:
            tokenizer_at(limit).encode(query, passages, truncate=False)
        error = refused.value
        assert error.message == f"Input length {max(too_long.values())} exceeds maximum allowed token size {limit}"
        assert error.detail["max_tokens"] == limit
        assert error.detail["pairs"] == [{"passage": index, "tokens": tokens} for index, tokens in too_long.items()]
    else:
        pairs = tokenizer_at(limit).encode(query, passages, truncate=False)
        assert list(pairs.rows) == [packed(pair.ids) for pair in whole]
        assert [segments(pairs, index) for index in range(len(passages))] == [pair.type_ids for pair in whole]
        assert pairs.truncated == ()


def test_a_refusal_quotes_no_text_and_says_what_to_do(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    with pytest.raises(InputTooLongError) as refused:
        tokenizer_at(8).encode("kestrel", ["kestrel " * 20], truncate=False)
    text = refused.value.message + json.dumps(refused.value.detail)
    assert "kestrel" not in text
    assert "truncate" in refused.value.detail["remedy"]


def test_lengths_are_those_of_the_rows(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    pairs = tokenizer_at(16).encode("a", ["", "b", "b " * 100], truncate=True)
    assert pairs.lengths() == [4, 5, 16]
    assert pairs.truncated == (2,)


def test_a_passage_that_comes_twice_is_tokenised_once_and_has_its_pair_twice(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = PairTokenizer(bundle, 16)
    seen: list[list[str]] = []

    def watched(texts: list[str]) -> list[bytes]:
        seen.append(texts)
        return own(texts)

    own = tokenizer._text_ids
    monkeypatch.setattr(tokenizer, "_text_ids", watched)
    pairs = tokenizer.encode("a", ["b", "c", "b", "c", "d"], truncate=False)
    assert seen == [["a"], ["b", "c", "d"]]
    assert pairs.rows == PairTokenizer(bundle, 16).encode("a", ["b", "c", "b", "c", "d"], truncate=False).rows
    assert pairs.firsts == [0, 1, 0, 1, 4]


def test_passages_that_are_the_same_once_they_are_cut_make_one_pair_to_score(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    assert tokenizer_at(8).encode("a", ["b " * 20, "b " * 30, "b " * 20 + "c"], truncate=True).firsts == [0, 0, 0]


def test_no_passages_make_no_pairs(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    assert tokenizer_at(16).encode("a", [], truncate=False).rows == ()


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize("surrogate", ["\ud800", "text \udfff text", "\udc00\ud800"])
def test_a_lone_surrogate_is_refused_where_it_stands(tokenizer_at: Callable[[int], PairTokenizer], surrogate: str, truncate: bool) -> None:
    with pytest.raises(InvalidRequestError) as in_query:
        tokenizer_at(16).encode(surrogate, ["a"], truncate=truncate)
    assert in_query.value.message.startswith("query: not valid Unicode")
    with pytest.raises(InvalidRequestError) as in_passage:
        tokenizer_at(16).encode("a", ["b", "c", surrogate, "d", surrogate], truncate=truncate)
    assert in_passage.value.message.startswith("passages[2]: not valid Unicode")
    assert "text" not in in_passage.value.message


@pytest.mark.parametrize("limit", [0, 2, 3])
def test_a_limit_without_room_for_text_is_refused_at_start(bundle: Bundle, limit: int) -> None:
    with pytest.raises(BundleError, match=f"a limit of {limit} tokens leaves no room for text"):
        PairTokenizer(bundle, limit)


def test_truncation_and_padding_of_the_tokenizer_file_itself_are_switched_off(bundle: Bundle, make_bundle: MakeBundle) -> None:
    own = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
    own.enable_truncation(6)
    own.enable_padding(length=20)
    changed = PairTokenizer(read_bundle(make_bundle(tokenizer=own.to_str())), 64)
    texts = ("a query of some words", ["a passage of some more words than that", "b"])
    assert changed.encode(*texts, truncate=True).rows == PairTokenizer(bundle, 64).encode(*texts, truncate=True).rows


def test_a_damaged_tokenizer_file_is_refused_at_start(make_bundle: MakeBundle) -> None:
    bundle = read_bundle(make_bundle())
    path = bundle.folder / TOKENIZER
    path.write_bytes(path.read_bytes().replace(b'"lowercase"', b'"lowerCase"'))
    with pytest.raises(BundleError, match=r"tokenizer\.json is not the file"):
        PairTokenizer(bundle, 64)


def test_several_threads_may_use_one_tokenizer(tokenizer_at: Callable[[int], PairTokenizer]) -> None:
    tokenizer = tokenizer_at(64)
    queries = [f"query number {number}" for number in range(40)]
    passages = [piece * 3 for piece in PIECES]
    alone = [tokenizer.encode(query, passages, truncate=True) for query in queries]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda query: tokenizer.encode(query, passages, truncate=True), queries))
    assert together == alone


def test_a_tokenizer_whose_own_code_panics_fails_the_request_in_words(bundle: Bundle, make_bundle: MakeBundle) -> None:
    """Rust's panic is no Exception of Python's: it would pass every handler, and the client would get no answer."""
    joiner = "\u200c"
    content = json.loads((bundle.folder / TOKENIZER).read_text())
    emptied = {"type": "Replace", "pattern": {"String": joiner}, "content": ""}
    content["normalizer"] = {"type": "Sequence", "normalizers": [content["normalizer"], emptied]}
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.add_tokens([AddedToken(joiner, normalized=True)])
    panicking = PairTokenizer(read_bundle(make_bundle(tokenizer=tokenizer.to_str())), 64)
    with pytest.raises(ScoringError, match="the tokenizer failed on this request"):
        panicking.encode("which way?", ["\u65e5\u672c x"], truncate=True)
