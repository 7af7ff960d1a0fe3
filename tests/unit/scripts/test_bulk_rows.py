"""python -m pytest tests/unit/scripts/test_bulk_rows.py

The rows that bulk input may have, and the rows that they become.
"""

from typing import Any

import pytest

from scripts.bulk.errors import BulkError
from scripts.bulk.rows import Form, Refused, Request, Scored, form_of, output_row, request_of, require_form


def test_the_form_shows_in_the_fields_and_passages_come_before_passage() -> None:
    assert form_of(["id", "query", "passages"]) is Form.RANKINGS
    assert form_of(["passage", "query"]) is Form.PAIRS
    assert form_of(["query", "passage", "passages"]) is Form.RANKINGS
    assert form_of(["passages"]) is None


def test_what_has_no_form_says_which_fields_it_needs() -> None:
    with pytest.raises(BulkError, match=r"in\.parquet has neither query and passages nor query and passage"):
        require_form(["text"], "in.parquet")


def test_a_valid_row_becomes_a_request_and_other_fields_are_ignored() -> None:
    assert request_of({"query": "q", "passages": ["a", ""], "truncate": "NONE"}, Form.RANKINGS) == Request("q", ("a", ""))
    assert request_of({"query": "q", "passage": "a"}, Form.PAIRS) == Request("q", ("a",))


@pytest.mark.parametrize("image", ["page.png", b"\x89PNG", "data:image/png;base64,iVBORw0KGgo="])
def test_a_pair_may_have_an_image_beside_its_passage_or_instead_of_it(image: str | bytes) -> None:
    assert request_of({"query": "q", "passage": "a", "image": image}, Form.PAIRS) == Request("q", ("a",), (image,))
    assert request_of({"query": "q", "passage": None, "image": image}, Form.PAIRS) == Request("q", ("",), (image,))
    assert form_of(["query", "image"]) is Form.PAIRS
    assert "image" in Form.PAIRS.fields


def test_an_image_that_is_none_is_refused() -> None:
    assert request_of({"query": "q", "passage": "a", "image": 7}, Form.PAIRS) == Refused(
        "image: expected a path, a file's bytes or a data URL"
    )


def test_a_row_may_have_more_passages_than_a_request() -> None:
    assert isinstance(request_of({"query": "q", "passages": ["a"] * 2000}, Form.RANKINGS), Request)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1], "expected a JSON object"),
        ({"passages": ["secret"]}, "query: missing, or not a string"),
        ({"query": None, "passages": ["secret"]}, "query: missing, or not a string"),
        ({"query": 7, "passages": ["secret"]}, "query: missing, or not a string"),
        ({"query": "", "passages": ["secret"]}, "query: empty"),
        ({"query": "secret"}, "passages: missing, or not a list"),
        ({"query": "secret", "passages": "secret"}, "passages: missing, or not a list"),
        ({"query": "secret", "passages": []}, "passages: empty"),
        ({"query": "secret", "passages": ["secret", None, 3]}, "passages[1]: missing, or not a string"),
    ],
)
def test_a_bad_row_is_refused_without_quoting_its_text(row: Any, reason: str) -> None:
    assert request_of(row, Form.RANKINGS) == Refused(reason)


def test_a_bad_passage_of_a_pair_is_refused() -> None:
    assert request_of({"query": "q", "passage": ["a"]}, Form.PAIRS) == Refused("passage: missing, or not a string")


def test_rankings_are_sorted_best_first_and_ties_by_index() -> None:
    answer = output_row({"id": "x", "query": "q"}, Form.RANKINGS, Scored([-1.0, 2.0, -1.0], (2,), 30))
    assert answer == {
        "id": "x",
        "rankings": [{"index": 1, "logit": 2.0}, {"index": 0, "logit": -1.0}, {"index": 2, "logit": -1.0}],
        "truncated": [2],
        "tokens": 30,
    }


def test_a_pair_becomes_its_logit() -> None:
    assert output_row({"query": "q"}, Form.PAIRS, Scored([0.5], (0,), 9)) == {"id": None, "logit": 0.5, "truncated": True}


def test_a_refused_row_has_null_for_all_fields_but_its_id() -> None:
    refused = Refused("empty")
    assert output_row({"id": 7}, Form.RANKINGS, refused) == {"id": 7, "rankings": None, "truncated": None, "tokens": None}
    assert output_row({"id": 7}, Form.PAIRS, refused) == {"id": 7, "logit": None, "truncated": None}
    assert output_row(Refused("no valid JSON"), Form.PAIRS, refused)["id"] is None
