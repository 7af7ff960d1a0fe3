"""python -m pytest tests/clients/test_litellm.py

LiteLLM's rerank with the provider nvidia_nim against the real server, on both of its routes: /v1/ranking and the hosted API's.
"""

from collections.abc import Mapping

import pytest

from tests.clients import plain_http
from tests.clients.corpus import PASSAGES, QUERY
from tests.clients.driving import Outcome, drive
from tests.clients.plain_http import Ranking, assert_same_ranking
from tests.conftest import Server

on_both_routes = pytest.mark.parametrize("route", ["ranking", "hosted"])


@pytest.fixture(scope="module")
def litellm(server: Server, model: str) -> Mapping[str, Outcome]:
    return drive("litellm", server.http, model)


@on_both_routes
@pytest.mark.parametrize("variant", ["", ", /v1 in the URL", ", async"])
def test_it_ranks_as_plain_http_does(litellm: Mapping[str, Outcome], expected: Ranking, route: str, variant: str) -> None:
    assert_same_ranking(litellm[route + variant].ranking, expected)


def test_the_tokens_it_bills_are_the_usage(litellm: Mapping[str, Outcome], server: Server) -> None:
    assert litellm["billed tokens"].value == plain_http.answer(server, QUERY, PASSAGES)["usage"]["total_tokens"]


def test_top_n_is_the_head_of_the_ranking(litellm: Mapping[str, Outcome], expected: Ranking) -> None:
    assert_same_ranking(litellm["ranking, top 2"].ranking, expected, top=2)


def test_on_the_hosted_route_the_top_k_that_it_sends_cuts_the_rankings(litellm: Mapping[str, Outcome], expected: Ranking) -> None:
    assert_same_ranking(litellm["hosted, top 2"].ranking, expected, top=2)


@pytest.mark.parametrize("case", ["ranking, too long, END", "hosted, too long, END", "hosted, too long"])
def test_truncate_end_is_the_hosted_default_and_ranks_a_passage_that_is_too_long(
    litellm: Mapping[str, Outcome], expected_when_truncated: Ranking, case: str
) -> None:
    assert_same_ranking(litellm[case].ranking, expected_when_truncated)


@pytest.mark.parametrize("case", ["ranking, too long", "ranking, too long, NONE", "hosted, too long, NONE"])
def test_unless_truncated_a_passage_that_is_too_long_raises_and_says_why(litellm: Mapping[str, Outcome], case: str) -> None:
    assert "exceeds maximum allowed token size 512" in litellm[case].refusal


@on_both_routes
def test_an_unknown_model_raises_and_names_the_served_one(litellm: Mapping[str, Outcome], model: str, route: str) -> None:
    assert f"not served here; served: {model}" in litellm[f"{route}, unknown model"].refusal
