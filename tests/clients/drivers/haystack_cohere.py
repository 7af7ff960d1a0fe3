"""Haystack's ranker for Cohere; the cases of test_shape_clients.py."""

from collections.abc import Mapping

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.rankers.cohere import CohereRanker

from tests.clients.corpus import PASSAGES, QUERY
from tests.clients.drivers.report import Case, report

Ranking = list[tuple[int, float | None]]


def rank(base_url: str, top_k: int) -> Ranking:
    ranker = CohereRanker(api_key=Secret.from_token("any"), api_base_url=base_url, top_k=top_k)
    documents = [Document(id=str(place), content=passage) for place, passage in enumerate(PASSAGES)]
    return [(int(document.id), document.score) for document in ranker.run(query=QUERY, documents=documents)["documents"]]


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    return {"Cohere": lambda: rank(base_url, 100), "Cohere, top 2": lambda: rank(base_url, 2)}


if __name__ == "__main__":
    report(cases)
