"""python -m pytest tests/unit/scripts/test_bulk_rows.py

What a row of bulk input may be, and what comes out of it.
"""

from typing import Any

import pytest

from scripts.bulk.errors import BulkError
from scripts.bulk.rows import Ask, Form, Refused, Scored, answer_of, ask_of, form_of, require_form


def test_the_form_shows_in_the_fields_and_passages_come_before_passage() -> None:
    assert form_of(["id", "query", "passages"]) is Form.RANKINGS
    assert form_of(["passage", "query"]) is Form.PAIRS
    assert form_of(["query", "passage", "passages"]) is Form.RANKINGS
    assert form_of(["passages"]) is None


def test_what_has_no_form_says_which_fields_it_needs() -> None:
    with pytest.raises(BulkError, match=r"in\.parquet has neither query and passages nor query and passage"):
        require_form(["text"], "in.parquet")


def test_good_rows_are_asked_and_further_fields_are_ignored() -> None:
    assert ask_of({"query": "q", "passages": ["a", ""], "truncate": "NONE"}, Form.RANKINGS) == Ask("q", ("a", ""))
    assert ask_of({"query": "q", "passage": "a"}, Form.PAIRS) == Ask("q", ("a",))


def test_a_row_may_have_more_passages_than_a_request() -> None:
    assert isinstance(ask_of({"query": "q", "passages": ["a"] * 2000}, Form.RANKINGS), Ask)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1], "expected a JSON object"),
        ({"passages": ["secret"]}, "query: missing, or no text"),
        ({"query": None, "passages": ["secret"]}, "query: missing, or no text"),
        ({"query": 7, "passages": ["secret"]}, "query: missing, or no text"),
        ({"query": "", "passages": ["secret"]}, "query: empty"),
        ({"query": "secret"}, "passages: missing, or no list"),
        ({"query": "secret", "passages": "secret"}, "passages: missing, or no list"),
        ({"query": "secret", "passages": []}, "passages: empty"),
        ({"query": "secret", "passages": ["secret", None, 3]}, "passages[1]: missing, or no text"),
    ],
)
def test_a_bad_row_is_refused_in_words_that_quote_none_of_it(row: Any, reason: str) -> None:
    assert ask_of(row, Form.RANKINGS) == Refused(reason)


def test_a_bad_passage_of_a_pair_is_refused() -> None:
    assert ask_of({"query": "q", "passage": ["a"]}, Form.PAIRS) == Refused("passage: missing, or no text")


def test_rankings_come_best_first_and_ties_in_the_rows_order() -> None:
    answer = answer_of({"id": "x", "query": "q"}, Form.RANKINGS, Scored([-1.0, 2.0, -1.0], (2,), 30))
    assert answer == {
        "id": "x",
        "rankings": [{"index": 1, "logit": 2.0}, {"index": 0, "logit": -1.0}, {"index": 2, "logit": -1.0}],
        "truncated": [2],
        "tokens": 30,
    }


def test_a_pair_comes_out_as_its_logit() -> None:
    assert answer_of({"query": "q"}, Form.PAIRS, Scored([0.5], (0,), 9)) == {"id": None, "logit": 0.5, "truncated": True}


def test_what_is_refused_comes_out_with_null_for_all_but_its_id() -> None:
    refused = Refused("empty")
    assert answer_of({"id": 7}, Form.RANKINGS, refused) == {"id": 7, "rankings": None, "truncated": None, "tokens": None}
    assert answer_of({"id": 7}, Form.PAIRS, refused) == {"id": 7, "logit": None, "truncated": None}
    assert answer_of(Refused("no valid JSON"), Form.PAIRS, refused)["id"] is None
