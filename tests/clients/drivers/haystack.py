"""Haystack's NvidiaRanker, as its users call it; the cases of test_haystack.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from haystack import Document, Pipeline
from haystack.utils import Secret
from haystack_integrations.components.rankers.nvidia import NvidiaRanker

from tests.clients.corpus import MANY_PASSAGES, PASSAGES, PASSAGES_WITH_A_LONG_ONE, QUERY, SHORT_QUERY, UNKNOWN_MODEL
from tests.clients.drivers.report import Case, report

ALL = 1000
Ranking = list[tuple[int, float | None]]


def documents(passages: Sequence[str]) -> list[Document]:
    return [Document(id=str(index), content=passage) for index, passage in enumerate(passages)]


def ranking(found: Sequence[Document]) -> Ranking:
    return [(int(document.id), document.score) for document in found]


def rank(ranker: NvidiaRanker, query: str = QUERY, passages: Sequence[str] = PASSAGES, top_k: int | None = None) -> Ranking:
    return ranking(ranker.run(query, documents(passages), top_k)["documents"])


def rank_in_a_pipeline(ranker: NvidiaRanker) -> Ranking:
    pipeline = Pipeline()
    pipeline.add_component("ranker", ranker)
    return ranking(pipeline.run({"ranker": {"query": QUERY, "documents": documents(PASSAGES)}})["ranker"]["documents"])


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    def ranker(path: str = "/v1", model: str | None = model, top_k: int = ALL, **further: Any) -> NvidiaRanker:
        return NvidiaRanker(api_url=base_url + path, model=model, top_k=top_k, **{"api_key": None, **further})

    def rank_long(**further: Any) -> Ranking:
        return rank(ranker(**further), passages=PASSAGES_WITH_A_LONG_ONE)

    return {
        "with a model": lambda: rank(ranker()),
        "without a model": lambda: rank(ranker(model=None)),
        "root URL": lambda: rank(ranker("")),
        "trailing slash": lambda: rank(ranker("/v1/")),
        "with an API key": lambda: rank(ranker(api_key=Secret.from_token("nvapi-any"))),
        "in a pipeline": lambda: rank_in_a_pipeline(ranker()),
        "top 2": lambda: rank(ranker(top_k=2)),
        "top 2 of this call": lambda: rank(ranker(), top_k=2),
        "many": lambda: rank(ranker(), SHORT_QUERY, MANY_PASSAGES),
        "too long": rank_long,
        "too long, NONE": lambda: rank_long(truncate="NONE"),
        "too long, END": lambda: rank_long(truncate="END"),
        "unknown model": lambda: rank(ranker(model=UNKNOWN_MODEL)),
    }


if __name__ == "__main__":
    report(cases)
