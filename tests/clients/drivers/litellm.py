"""LiteLLM's provider nvidia_nim, as its users call it; the cases of test_litellm.py.

`nvidia_nim/ranking/<model>` calls /v1/ranking, and `nvidia_nim/<model>` the route of the hosted API, with the field `top_k` in the body.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import litellm

from tests.clients.corpus import PASSAGES, PASSAGES_WITH_A_LONG_ONE, QUERY, UNKNOWN_MODEL
from tests.clients.drivers.report import Case, report

Ranking = list[tuple[int, float]]


def ranking(response: Any) -> Ranking:
    return [(result["index"], result["relevance_score"]) for result in response.results]


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    def ask(route: str = "ranking/", model: str = model, **further: Any) -> dict[str, Any]:
        question = {"query": QUERY, "documents": PASSAGES, "api_base": base_url, "api_key": "nvapi-any"}
        return {"model": f"nvidia_nim/{route}{model}", **question, **further}

    def rank(route: str, **further: Any) -> Ranking:
        return ranking(litellm.rerank(**ask(route, **further)))

    def rank_async(route: str) -> Ranking:
        return ranking(asyncio.run(litellm.arerank(**ask(route))))

    def rank_long(route: str, **further: Any) -> Ranking:
        return rank(route, documents=PASSAGES_WITH_A_LONG_ONE, **further)

    def on_route(name: str, route: str) -> dict[str, Case]:
        return {
            name: lambda: rank(route),
            f"{name}, /v1 in the URL": lambda: rank(route, api_base=f"{base_url}/v1"),
            f"{name}, async": lambda: rank_async(route),
            f"{name}, top 2": lambda: rank(route, top_n=2),
            f"{name}, too long": lambda: rank_long(route),
            f"{name}, too long, NONE": lambda: rank_long(route, truncate="NONE"),
            f"{name}, too long, END": lambda: rank_long(route, truncate="END"),
            f"{name}, unknown model": lambda: rank(route, model=UNKNOWN_MODEL),
        }

    billed_tokens = {"billed tokens": lambda: litellm.rerank(**ask()).meta["billed_units"]["total_tokens"]}
    return {**on_route("ranking", "ranking/"), **on_route("hosted", ""), **billed_tokens}


if __name__ == "__main__":
    report(cases)
