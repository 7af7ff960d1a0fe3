"""LangChain's NVIDIARerank, as its users call it; the cases of test_langchain.py."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_nvidia_ai_endpoints import NVIDIARerank

from tests.clients.corpus import MANY_PASSAGES, PASSAGES, PASSAGES_WITH_A_LONG_ONE, QUERY, SHORT_QUERY, UNKNOWN_MODEL
from tests.clients.drivers.report import Case, report

ALL = 1000
Ranking = list[tuple[int, float]]


def documents(passages: Sequence[str]) -> list[Document]:
    return [Document(page_content=passage, metadata={"passage": index}) for index, passage in enumerate(passages)]


def ranking(found: Sequence[Document]) -> Ranking:
    return [(document.metadata["passage"], document.metadata["relevance_score"]) for document in found]


def rank(ranker: NVIDIARerank, query: str = QUERY, passages: Sequence[str] = PASSAGES) -> Ranking:
    return ranking(ranker.compress_documents(documents(passages), query))


async def rank_async(ranker: NVIDIARerank) -> Ranking:
    return ranking(await ranker.acompress_documents(documents(PASSAGES), QUERY))


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    def ranker(url: str = f"{base_url}/v1", model: str | None = model, top_n: int = ALL, **further: Any) -> NVIDIARerank:
        return NVIDIARerank(base_url=url, model=model, top_n=top_n, **further)

    def rank_long(**further: Any) -> Ranking:
        return rank(ranker(**further), passages=PASSAGES_WITH_A_LONG_ONE)

    return {
        "with a model": lambda: rank(ranker()),
        "without a model": lambda: rank(ranker(model=None)),
        "default model": lambda: ranker(model=None).model,
        "available models": lambda: [found.id for found in ranker().available_models],
        "root URL": lambda: rank(ranker(base_url)),
        "trailing slash": lambda: rank(ranker(f"{base_url}/v1/")),
        "with an API key": lambda: rank(ranker(api_key="nvapi-any")),
        "top 2": lambda: rank(ranker(top_n=2)),
        "async": lambda: asyncio.run(rank_async(ranker())),
        "many": lambda: rank(ranker(), SHORT_QUERY, MANY_PASSAGES),
        "top 3 of many": lambda: rank(ranker(top_n=3), SHORT_QUERY, MANY_PASSAGES),
        "too long": rank_long,
        "too long, NONE": lambda: rank_long(truncate="NONE"),
        "too long, END": lambda: rank_long(truncate="END"),
        "unknown model": lambda: rank(ranker(model=UNKNOWN_MODEL)),
    }


if __name__ == "__main__":
    report(cases)
