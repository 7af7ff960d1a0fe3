"""python -m pytest tests/clients/test_llama_index.py

LlamaIndex's NVIDIARerank (llama-index-postprocessor-nvidia-rerank) against the real server.
"""

from collections.abc import Mapping

import pytest

from tests.clients.driving import Outcome, drive
from tests.clients.plain_http import Ranking, assert_same_ranking
from tests.conftest import Server


@pytest.fixture(scope="module")
def llama_index(server: Server, model: str) -> Mapping[str, Outcome]:
    return drive("llama_index", server.http, model)


@pytest.mark.parametrize(
    "case",
    [
        "with a model",
        "without a model",
        "with an API key",
        "trailing slash",
        "root URL",
        "root URL, trailing slash",
        "root URL without a model",
    ],
)
def test_it_ranks_as_plain_http_does(llama_index: Mapping[str, Outcome], expected: Ranking, case: str) -> None:
    assert_same_ranking(llama_index[case].ranking, expected)


def test_without_a_model_it_takes_the_one_that_the_server_lists(llama_index: Mapping[str, Outcome], model: str) -> None:
    assert llama_index["default model"].value == model
    assert llama_index["available models"].value == [model]


def test_top_n_is_the_head_of_the_ranking(llama_index: Mapping[str, Outcome], expected: Ranking) -> None:
    assert_same_ranking(llama_index["top 2"].ranking, expected, top=2)


def test_more_passages_than_a_request_carries_are_ranked_in_batches(llama_index: Mapping[str, Outcome], expected_of_many: Ranking) -> None:
    assert_same_ranking(llama_index["many"].ranking, expected_of_many, tolerance=1e-5)


def test_top_n_of_several_batches_is_the_best_of_all(llama_index: Mapping[str, Outcome], expected_of_many: Ranking) -> None:
    assert_same_ranking(llama_index["top 3 of many"].ranking, expected_of_many, top=3, tolerance=1e-5)


def test_truncate_end_ranks_a_passage_that_is_too_long(llama_index: Mapping[str, Outcome], expected_when_truncated: Ranking) -> None:
    assert_same_ranking(llama_index["too long, END"].ranking, expected_when_truncated)


@pytest.mark.parametrize("case", ["too long", "too long, NONE"])
def test_unless_truncated_a_passage_that_is_too_long_raises_and_says_why(llama_index: Mapping[str, Outcome], case: str) -> None:
    assert "422" in llama_index[case].refusal
    assert "exceeds maximum allowed token size 512" in llama_index[case].refusal  # in the response of the httpx error, not in its text


def test_a_model_that_the_server_does_not_list_is_refused_by_the_client(llama_index: Mapping[str, Outcome]) -> None:
    assert llama_index["unknown model"].refusal.strip() == "No locally hosted unknown/model was found."


def test_a_model_that_only_the_client_knows_raises_and_names_the_served_one(llama_index: Mapping[str, Outcome], model: str) -> None:
    assert "404" in llama_index["model known to the client only"].refusal
    assert f"not served here; served: {model}" in llama_index["model known to the client only"].refusal
