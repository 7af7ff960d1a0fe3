"""python -m pytest tests/clients/test_langchain.py

LangChain's NVIDIARerank (langchain-nvidia-ai-endpoints) against the real server.
"""

from collections.abc import Mapping

import pytest

from tests.clients.driving import Outcome, drive
from tests.clients.plain_http import Ranking, assert_same_ranking
from tests.conftest import Server


@pytest.fixture(scope="module")
def langchain(server: Server, model: str) -> Mapping[str, Outcome]:
    return drive("langchain", server.http, model)


@pytest.mark.parametrize("case", ["with a model", "without a model", "with an API key", "root URL", "trailing slash", "async"])
def test_it_ranks_as_plain_http_does(langchain: Mapping[str, Outcome], expected: Ranking, case: str) -> None:
    assert_same_ranking(langchain[case].ranking, expected)


def test_without_a_model_it_takes_the_one_that_the_server_lists(langchain: Mapping[str, Outcome], model: str) -> None:
    assert langchain["default model"].value == model
    assert langchain["available models"].value == [model]


def test_top_n_is_the_head_of_the_ranking(langchain: Mapping[str, Outcome], expected: Ranking) -> None:
    assert_same_ranking(langchain["top 2"].ranking, expected, top=2)


def test_more_passages_than_a_request_carries_are_ranked_in_batches(langchain: Mapping[str, Outcome], expected_of_many: Ranking) -> None:
    assert_same_ranking(langchain["many"].ranking, expected_of_many, tolerance=1e-5)


def test_top_n_of_several_batches_is_the_best_of_all(langchain: Mapping[str, Outcome], expected_of_many: Ranking) -> None:
    assert_same_ranking(langchain["top 3 of many"].ranking, expected_of_many, top=3, tolerance=1e-5)


def test_truncate_end_ranks_a_passage_that_is_too_long(langchain: Mapping[str, Outcome], expected_when_truncated: Ranking) -> None:
    assert_same_ranking(langchain["too long, END"].ranking, expected_when_truncated)


@pytest.mark.parametrize("case", ["too long", "too long, NONE"])
def test_unless_truncated_a_passage_that_is_too_long_raises_and_says_why(langchain: Mapping[str, Outcome], case: str) -> None:
    assert "[422] Input length" in langchain[case].refusal
    assert "exceeds maximum allowed token size 512" in langchain[case].refusal


def test_an_unknown_model_raises_and_names_the_served_one(langchain: Mapping[str, Outcome], model: str) -> None:
    assert "[404]" in langchain["unknown model"].refusal
    assert f"not served here; served: {model}" in langchain["unknown model"].refusal
