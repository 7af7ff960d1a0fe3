"""python -m pytest tests/clients/test_retrieval.py

`scripts.cross_encoder` in BEIR's and MTEB's own reranking evaluation, against the real server.
"""

from collections.abc import Mapping

import numpy as np
import pytest

from scripts.retrieval.metrics import ndcg
from tests.clients import plain_http
from tests.clients.collection import CORPUS, QUERIES, RELEVANT, candidates
from tests.clients.driving import Outcome, drive
from tests.conftest import ROOT, Server

pytestmark = pytest.mark.long

PYTHON = ROOT / ".venv-retrieval" / "bin" / "python"


@pytest.fixture(scope="module")
def evaluated(server: Server, model: str) -> Mapping[str, Outcome]:
    return drive("retrieval", server.http, model, PYTHON)


@pytest.fixture(scope="module")
def expected(server: Server) -> float:
    """Mean nDCG@10 of the plain HTTP answers."""
    values = []
    for query, text in QUERIES.items():
        documents = candidates(query)
        ranking = [index for index, _ in plain_http.ranking(server, text, [CORPUS[document] for document in documents], truncate="END")]
        values.append(ndcg(ranking, {place for place, document in enumerate(documents) if document in RELEVANT[query]}))
    return float(np.mean(values))


@pytest.mark.parametrize("suite", ["BEIR", "MTEB"])
def test_the_suite_measures_what_plain_http_answers(evaluated: Mapping[str, Outcome], expected: float, suite: str) -> None:
    assert evaluated[suite].error is None, evaluated[suite].error
    assert evaluated[suite].value["NDCG@10"] == pytest.approx(expected, abs=1e-4)  # both round to four or five digits
    assert expected > 0.8  # in the order of the candidates it is below 0.3


def test_mteb_names_the_served_model(evaluated: Mapping[str, Outcome], model: str) -> None:
    assert evaluated["MTEB"].value["model"] == model
