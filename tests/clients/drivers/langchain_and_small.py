"""LangChain's rerankers for Cohere and Voyage, and the small clients voyageai, infinity-client and rerankers; the cases of
test_shape_clients.py.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import voyageai
from infinity_client import Client
from infinity_client.api.default import rerank
from infinity_client.models import RerankInput
from langchain_cohere import CohereRerank
from langchain_core.documents import Document
from langchain_voyageai import VoyageAIRerank
from rerankers.models.api_rankers import APIRanker

from tests.clients.corpus import PASSAGES, QUERY
from tests.clients.drivers.report import Case, report

Ranking = list[tuple[int, float]]
KEY: Any = "any"


def documents() -> list[Document]:
    return [Document(passage, metadata={"place": place}) for place, passage in enumerate(PASSAGES)]


def compressed(reranker: Any) -> Ranking:
    found = reranker.compress_documents(documents(), QUERY)
    return [(document.metadata["place"], document.metadata["relevance_score"]) for document in found]


def of_voyage(response: Any) -> Ranking:
    return [(result.index, result.relevance_score) for result in response.results]


def infinity(base_url: str) -> Ranking:
    with Client(base_url=base_url) as client:
        response: Any = rerank.sync(client=client, body=RerankInput(QUERY, PASSAGES))
    return [(result.index, result.relevance_score) for result in response.results]


def small(provider: str, url: str) -> Ranking:
    found = APIRanker("any-model", "any", provider, verbose=0, url=url).rank(QUERY, PASSAGES, list(range(len(PASSAGES))))
    return [(result.doc_id, result.score) for result in found.results]


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    v1 = f"{base_url}/v1"
    return {
        "langchain-cohere": lambda: compressed(CohereRerank(model="rerank-v3.5", cohere_api_key=KEY, base_url=base_url, top_n=None)),
        "langchain-cohere, top 2": lambda: compressed(CohereRerank(model="rerank-v3.5", cohere_api_key=KEY, base_url=base_url, top_n=2)),
        "langchain-voyageai": lambda: compressed(VoyageAIRerank(model="rerank-2", voyage_api_key=KEY, base_url=v1)),
        "voyageai": lambda: of_voyage(voyageai.Client(KEY, base_url=v1).rerank(QUERY, PASSAGES, "rerank-2")),
        "voyageai, top 2": lambda: of_voyage(voyageai.Client(KEY, base_url=v1).rerank(QUERY, PASSAGES, "rerank-2", top_k=2)),
        "voyageai, async": lambda: of_voyage(asyncio.run(voyageai.AsyncClient(KEY, base_url=v1).rerank(QUERY, PASSAGES, "rerank-2"))),
        "infinity-client": lambda: infinity(base_url),
        "rerankers, Cohere": lambda: small("cohere", f"{v1}/rerank"),
        "rerankers, Jina": lambda: small("jina", f"{v1}/rerank"),
        "rerankers, Voyage": lambda: small("voyage", f"{v1}/rerank"),
        "rerankers, TEI": lambda: small("text-embeddings-inference", f"{base_url}/rerank"),
    }


if __name__ == "__main__":
    report(cases)
