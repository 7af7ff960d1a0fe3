"""Haystack's rankers for Jina and TEI; the cases of test_shape_clients.py."""

from collections.abc import Mapping
from typing import Any

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker, TruncationDirection
from haystack_integrations.components.rankers.jina import JinaRanker

from tests.clients.corpus import PASSAGES, QUERY
from tests.clients.drivers.report import Case, report

Ranking = list[tuple[int, float | None]]
KEY = Secret.from_token("any")


def rank(ranker: Any, **further: Any) -> Ranking:
    documents = [Document(id=str(place), content=passage) for place, passage in enumerate(PASSAGES)]
    return [(int(document.id), document.score) for document in ranker.run(query=QUERY, documents=documents, **further)["documents"]]


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    return {
        "Jina": lambda: rank(JinaRanker(api_key=KEY, base_url=f"{base_url}/v1/rerank")),
        "Jina, top 2": lambda: rank(JinaRanker(api_key=KEY, base_url=f"{base_url}/v1/rerank", top_k=2)),
        "TEI": lambda: rank(HuggingFaceTEIRanker(url=base_url, token=KEY)),
        "TEI, cut at the right": lambda: rank(
            HuggingFaceTEIRanker(url=f"{base_url}/v1", token=KEY), truncation_direction=TruncationDirection.RIGHT
        ),
    }


if __name__ == "__main__":
    report(cases)
