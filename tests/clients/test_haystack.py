"""python -m pytest tests/clients/test_haystack.py

Haystack's NvidiaRanker (nvidia-haystack) against the real server.
"""

from collections.abc import Mapping

import pytest

from tests.clients.driving import Outcome, drive
from tests.clients.plain_http import Ranking, assert_same_ranking
from tests.conftest import Server


@pytest.fixture(scope="module")
def haystack(server: Server, model: str) -> Mapping[str, Outcome]:
    return drive("haystack", server.http, model)


@pytest.mark.parametrize("case", ["with a model", "without a model", "with an API key", "root URL", "trailing slash", "in a pipeline"])
def test_it_ranks_as_plain_http_does(haystack: Mapping[str, Outcome], expected: Ranking, case: str) -> None:
    assert_same_ranking(haystack[case].ranking, expected)


@pytest.mark.parametrize("case", ["top 2", "top 2 of this call"])
def test_top_k_is_the_head_of_the_ranking(haystack: Mapping[str, Outcome], expected: Ranking, case: str) -> None:
    assert_same_ranking(haystack[case].ranking, expected, top=2)


def test_it_has_no_batches_so_that_too_many_passages_raise_and_name_the_limit(haystack: Mapping[str, Outcome]) -> None:
    assert "513 passages, the most in one request is 512" in haystack["many"].refusal


def test_truncate_end_ranks_a_passage_that_is_too_long(haystack: Mapping[str, Outcome], expected_when_truncated: Ranking) -> None:
    assert_same_ranking(haystack["too long, END"].ranking, expected_when_truncated)


@pytest.mark.parametrize("case", ["too long", "too long, NONE"])
def test_unless_truncated_a_passage_that_is_too_long_raises_and_says_why(haystack: Mapping[str, Outcome], case: str) -> None:
    assert "exceeds maximum allowed token size 512" in haystack[case].refusal


def test_an_unknown_model_raises_and_names_the_served_one(haystack: Mapping[str, Outcome], model: str) -> None:
    assert f"not served here; served: {model}" in haystack["unknown model"].refusal
