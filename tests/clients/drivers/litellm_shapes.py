"""LiteLLM's rerank providers beside nvidia_nim, as its users call them; the cases of test_shape_clients.py."""

import asyncio
from collections.abc import Mapping
from typing import Any

import litellm

from tests.clients.corpus import PASSAGES, QUERY
from tests.clients.drivers.report import Case, report

Ranking = list[tuple[int, float]]


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    def ask(provider: str, url: str = base_url, **further: Any) -> dict[str, Any]:
        return {"model": f"{provider}/any-model", "query": QUERY, "documents": PASSAGES, "api_base": url, "api_key": "any", **further}

    def rank(provider: str, url: str = base_url, **further: Any) -> Ranking:
        return ranking(litellm.rerank(**ask(provider, url, **further)))

    def ranking(response: Any) -> Ranking:
        return [(result["index"], result["relevance_score"]) for result in response.results]

    return {
        "cohere": lambda: rank("cohere"),
        "cohere, async": lambda: ranking(asyncio.run(litellm.arerank(**ask("cohere")))),
        "cohere, top 2": lambda: rank("cohere", top_n=2),
        "jina_ai": lambda: rank("jina_ai"),
        "hosted_vllm": lambda: rank("hosted_vllm"),
        "infinity": lambda: rank("infinity", return_documents=False),
        "huggingface": lambda: rank("huggingface"),
        "voyage": lambda: rank("voyage", top_n=len(PASSAGES)),
    }


if __name__ == "__main__":
    report(cases)
