"""python -m pytest tests/clients/test_shape_clients.py

Clients of other rerank servers against the real server, with nothing but the base URL changed. docs/clients.md says what each one needs.
"""

from collections.abc import Mapping
from math import exp
from pathlib import Path

import pytest

from tests.clients.corpus import PASSAGES
from tests.clients.driving import PYTHON, Outcome, drive
from tests.clients.plain_http import Ranking, assert_same_ranking
from tests.conftest import Server

COHERE_5, COHERE_7 = (PYTHON.parents[2] / f".venv-clients-cohere{major}" / "bin" / "python" for major in (5, 7))


@pytest.fixture(scope="session")
def relevant(expected: Ranking) -> Ranking:
    """The plain HTTP answer for PASSAGES as relevance scores."""
    return [(index, 1 / (1 + exp(-logit))) for index, logit in expected]


def held_to(outcomes: Mapping[str, Outcome], relevant: Ranking) -> None:
    """Each case is the whole ranking, or its first two where its name says so."""
    assert outcomes
    for name, outcome in outcomes.items():
        assert outcome.error is None, (name, outcome.refusal)
        assert_same_ranking(outcome.ranking, relevant, top=2 if "top 2" in name else None)


@pytest.mark.parametrize("python", [COHERE_5, PYTHON, COHERE_7], ids=["5", "6", "7"])
def test_every_major_of_cohere_s_sdk(server: Server, model: str, relevant: Ranking, python: Path) -> None:
    outcomes = dict(drive("cohere_sdk", server.http, model, python))
    texts, warnings, refusal = (outcomes.pop(name) for name in ("texts", "warnings", "no document"))
    held_to(outcomes, relevant)
    assert texts.value == [PASSAGES[index] for index, _ in relevant]
    assert warnings.value == ["truncated to the limit of tokens: documents 1"]
    assert "documents: empty, send at least 1 document" in refusal.refusal


@pytest.mark.parametrize(
    ("driver", "python"),
    [
        ("langchain_and_small", COHERE_5),
        ("llama_index_shapes", PYTHON),
        ("haystack_shapes", PYTHON),
        ("haystack_cohere", COHERE_7),
        ("litellm_shapes", PYTHON),
    ],
)
def test_a_client_ranks_as_plain_http_does(server: Server, model: str, relevant: Ranking, driver: str, python: Path) -> None:
    held_to(drive(driver, server.http, model, python), relevant)
