"""LlamaIndex's NVIDIARerank, as its users call it; the cases of test_llama_index.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.nvidia_rerank import NVIDIARerank

from tests.clients.corpus import MANY_PASSAGES, PASSAGES, PASSAGES_WITH_A_LONG_ONE, QUERY, SHORT_QUERY, UNKNOWN_MODEL
from tests.clients.drivers.report import Case, report

ALL = 1000
KNOWN_TO_THE_CLIENT = "nvidia/llama-3.2-nv-rerankqa-1b-v2"  # a name that the client does not look up in the server's list
Ranking = list[tuple[int, float | None]]


def rank(ranker: NVIDIARerank, query: str = QUERY, passages: Sequence[str] = PASSAGES) -> Ranking:
    nodes = [NodeWithScore(node=TextNode(id_=str(index), text=passage)) for index, passage in enumerate(passages)]
    return [(int(found.node.node_id), found.score) for found in ranker.postprocess_nodes(nodes, query_str=query)]


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    def ranker(path: str = "/v1", model: str | None = model, top_n: int = ALL, **further: Any) -> NVIDIARerank:
        return NVIDIARerank(base_url=base_url + path, model=model, top_n=top_n, **further)

    def rank_long(**further: Any) -> Ranking:
        return rank(ranker(**further), passages=PASSAGES_WITH_A_LONG_ONE)

    return {
        "with a model": lambda: rank(ranker()),
        "without a model": lambda: rank(ranker(model=None)),
        "default model": lambda: ranker(model=None).model,
        "available models": lambda: [found.id for found in ranker().available_models],
        "root URL": lambda: rank(ranker("")),
        "root URL, trailing slash": lambda: rank(ranker("/")),
        "root URL without a model": lambda: rank(ranker("", model=None)),
        "trailing slash": lambda: rank(ranker("/v1/")),
        "with an API key": lambda: rank(ranker(api_key="nvapi-any")),
        "top 2": lambda: rank(ranker(top_n=2)),
        "many": lambda: rank(ranker(), SHORT_QUERY, MANY_PASSAGES),
        "top 3 of many": lambda: rank(ranker(top_n=3), SHORT_QUERY, MANY_PASSAGES),
        "too long": rank_long,
        "too long, NONE": lambda: rank_long(truncate="NONE"),
        "too long, END": lambda: rank_long(truncate="END"),
        "unknown model": lambda: rank(ranker(model=UNKNOWN_MODEL)),
        "model known to the client only": lambda: rank(ranker(model=KNOWN_TO_THE_CLIENT)),
    }


if __name__ == "__main__":
    report(cases)
