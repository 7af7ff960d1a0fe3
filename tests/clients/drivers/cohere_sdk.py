"""Cohere's SDK, both of its versions, sync and async; the cases of test_shape_clients.py. Each environment has another major."""

import asyncio
from collections.abc import Mapping
from typing import Any

import cohere

from tests.clients.corpus import PASSAGES, PASSAGES_WITH_A_LONG_ONE, QUERY
from tests.clients.drivers.report import Case, report

Ranking = list[tuple[int, float]]
MODEL = "rerank-v3.5"


def ranking(response: Any) -> Ranking:
    return [(result.index, result.relevance_score) for result in response.results]


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    one = cohere.Client("any", base_url=base_url)
    two = cohere.ClientV2("any", base_url=base_url)
    asked: dict[str, Any] = {"model": MODEL, "query": QUERY, "documents": PASSAGES}

    def texts() -> list[str | None]:
        response = one.rerank(**asked, return_documents=True)
        return [result.document.text if result.document else None for result in response.results]

    def warnings() -> list[str]:
        response = two.rerank(**{**asked, "documents": PASSAGES_WITH_A_LONG_ONE})
        return list((response.meta and response.meta.warnings) or [])

    def run(client: Any) -> Ranking:
        return ranking(asyncio.run(client.rerank(**asked)))

    return {
        "v1": lambda: ranking(one.rerank(**asked)),
        "v2": lambda: ranking(two.rerank(**asked)),
        "v2, /v1 in the URL": lambda: ranking(cohere.ClientV2("any", base_url=f"{base_url}/v1").rerank(**asked)),
        "v1, async": lambda: run(cohere.AsyncClient("any", base_url=base_url)),
        "v2, async": lambda: run(cohere.AsyncClientV2("any", base_url=base_url)),
        "top 2": lambda: ranking(two.rerank(**asked, top_n=2)),
        "texts": texts,
        "warnings": warnings,
        "no document": lambda: ranking(two.rerank(**{**asked, "documents": []})),
    }


if __name__ == "__main__":
    report(cases)
