"""A question in each of its forms."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.retrieval.query_forms import FORMS, as_keywords, with_typos, without_mark


@pytest.mark.parametrize(
    ("question", "keywords"),
    [
        ("When did the 1973 oil crisis begin?", "1973 oil crisis begin"),
        ("What is C++?", "What is C++?"),  # one word would be left
        ("Who was Norway's first king?", "norway's first king"),
        ("Is it?", "Is it?"),
    ],
)
def test_keywords_are_the_words_without_stop_words(question: str, keywords: str) -> None:
    assert as_keywords(question) == keywords


def test_typos_hit_about_a_quarter_of_the_longer_words() -> None:
    words = [f"{first}onderful{last}" for first in "abcdefghij" for last in "klmnopqrst"]
    mistyped = with_typos(" ".join(words)).split()
    changed = [word for word, found in zip(words, mistyped, strict=True) if word != found]
    assert 15 <= len(changed) <= 25  # swapping two equal letters changes nothing
    assert all(word[0] == found[0] for word, found in zip(words, mistyped, strict=True))


def test_short_words_have_no_typos() -> None:
    assert with_typos("who is the one?") == "who is the one?"


def test_without_mark_is_lower_case() -> None:
    assert without_mark("Who WON? ") == "who won"
    assert without_mark("?") == "?"


@given(st.text(), st.sampled_from(sorted(FORMS)))
def test_forms_are_fixed_and_never_empty_a_query(query: str, form: str) -> None:
    random.seed(0)
    first = FORMS[form](query)
    random.seed(1)
    assert FORMS[form](query) == first
    assert bool(first.strip()) == bool(query.strip())
