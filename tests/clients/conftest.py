"""The model's name and the plain HTTP answers for the client tests."""

import pytest

from facade.reranking.bundle import Bundle
from tests.clients import plain_http
from tests.clients.corpus import PASSAGES, PASSAGES_WITH_A_LONG_ONE, QUERY
from tests.clients.plain_http import Ranking
from tests.conftest import Server


@pytest.fixture(scope="session")
def model(bundle: Bundle) -> str:
    """The served model's name."""
    return bundle.model_id


@pytest.fixture(scope="session")
def expected(server: Server) -> Ranking:
    """The plain HTTP answer for PASSAGES."""
    return plain_http.ranking(server, QUERY, PASSAGES)


@pytest.fixture(scope="session")
def expected_when_truncated(server: Server) -> Ranking:
    """The plain HTTP answer for PASSAGES_WITH_A_LONG_ONE, cut to the limit."""
    return plain_http.ranking(server, QUERY, PASSAGES_WITH_A_LONG_ONE, truncate="END")


@pytest.fixture(scope="session")
def expected_of_many(server: Server) -> Ranking:
    """The plain HTTP answer for MANY_PASSAGES."""
    return plain_http.ranking_of_many(server)
