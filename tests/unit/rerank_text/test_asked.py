"""python -m pytest tests/unit/rerank_text/test_asked.py

A text call by the rules of HTTP: one query for all passages or one for each, under either name of the passages, and in what it refuses.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.errors import InvalidRequestError
from rerank_text.asked import Asked, Texts, read
from tests.unit.facade.bodies import body, refusal_of, request


def column(*texts: str | bytes) -> Texts:
    return np.array([text if isinstance(text, bytes) else text.encode() for text in texts], np.object_).reshape(-1, 1)


@pytest.mark.parametrize("name", ["passage", "passages"])
def test_one_query_stands_for_all_passages(name: str) -> None:
    expected = Asked(["a", "a", "a"], ["b", "", "c"], truncate=False, size=3)
    assert read({"query": column("a"), name: column("b", "", "c")}, {}) == expected
    assert read({"query": column("a", "a", "a"), name: column("b", "", "c")}, {}) == expected


def test_the_size_is_that_of_what_came() -> None:
    assert read({"query": column("ä"), "passage": column("b", "cd")}, {}).size == 5


def test_each_passage_may_have_a_query_of_its_own() -> None:
    assert read({"query": column("a", "b"), "passage": column("c", "d")}, {}).queries == ["a", "b"]


@pytest.mark.parametrize(("value", "truncate"), [("END", True), ("end", True), ("None", False)])
def test_truncate_is_taken_in_any_case(value: str, truncate: bool) -> None:
    assert read({"query": column("a"), "passage": column("b")}, {"truncate": value}).truncate is truncate


@pytest.mark.parametrize(
    ("queries", "passages", "fault"),
    [
        ([""], ["b"], "query: empty, send some text"),
        (["a", ""], ["b", "c"], "query: empty, send some text"),
        (["a"], [], "passage: empty, send at least 1 passage"),
        (["a", "a"], ["b"] * 3, "query: 2 texts for 3 passages; send one for all of them, or one for each"),
        ([], ["b"], "query: 0 texts for 1 passages"),
        (["a"], ["b"] * 513, "passage: 513 passages, the most in one request is 512"),
        (["a"], [b"\xff"], "passage: not valid UTF-8"),
        ([b"\xed\xa0\x80"], ["b"], "query: not valid UTF-8"),
    ],
)
def test_what_cannot_be_ranked_is_refused_with_what_to_send(queries: Sequence[str], passages: Sequence[str], fault: str) -> None:
    with pytest.raises(InvalidRequestError, match=fault):
        read({"query": column(*queries), "passage": column(*passages)}, {})


def test_an_empty_image_is_none() -> None:
    asked = read({"query": column("a"), "passage": column("b", "", "c"), "passage_image": column("", "data:image/png;base64,AA==", "")}, {})
    assert asked.images == {1: "data:image/png;base64,AA=="}
    assert asked.size == len("abcdata:image/png;base64,AA==")
    assert read({"query": column("a"), "passage": column("b")}, {}).images == {}


def test_there_is_an_image_for_each_passage_or_none_at_all() -> None:
    with pytest.raises(InvalidRequestError, match="passage_image: 1 images for 2 passages; send one for each, empty for none"):
        read({"query": column("a"), "passage": column("b", "c"), "passage_image": column("x")}, {})
    with pytest.raises(InvalidRequestError, match="passage_image: not valid UTF-8"):
        read({"query": column("a"), "passage": column("b"), "passage_image": column(b"\xff")}, {})


@given(st.text(max_size=2), st.lists(st.text(max_size=2), max_size=2))
def test_http_refuses_the_same_texts(query: str, passages: list[str]) -> None:
    asked_over_http = request(query={"text": query}, passages=[{"text": passage} for passage in passages])
    try:
        read({"query": column(query), "passage": column(*passages)}, {})
        refused = False
    except InvalidRequestError:
        refused = True
    assert refused == (refusal_of(body(asked_over_http)) is not None)
