"""LlamaIndex's rerankers for Cohere, Jina, TEI, SiliconFlow and Voyage; the cases of test_shape_clients.py."""

from collections.abc import Mapping
from typing import Any

import voyageai
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from llama_index.postprocessor.siliconflow_rerank import SiliconFlowRerank
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference
from llama_index.postprocessor.voyageai_rerank import VoyageAIRerank

from tests.clients.corpus import PASSAGES, QUERY
from tests.clients.drivers.report import Case, report

Ranking = list[tuple[int, float | None]]
ALL = len(PASSAGES)


def rank(reranker: Any) -> Ranking:
    nodes = [NodeWithScore(node=TextNode(id_=str(place), text=passage)) for place, passage in enumerate(PASSAGES)]
    return [(int(found.node.node_id), found.score) for found in reranker.postprocess_nodes(nodes, query_str=QUERY)]


def voyage(base_url: str) -> Ranking:
    reranker = VoyageAIRerank("rerank-2", api_key="any", top_n=ALL)
    reranker._client = voyageai.Client("any", base_url=f"{base_url}/v1")  # the class has no argument for it
    return rank(reranker)


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    v1 = f"{base_url}/v1"
    return {
        "Cohere": lambda: rank(CohereRerank(api_key="any", base_url=base_url, top_n=ALL)),
        "Cohere, top 2": lambda: rank(CohereRerank(api_key="any", base_url=base_url)),
        "Jina": lambda: rank(JinaRerank(api_key="any", base_url=v1, top_n=ALL)),
        "Jina, root URL": lambda: rank(JinaRerank(api_key="any", base_url=base_url, top_n=ALL)),
        "TEI": lambda: rank(TextEmbeddingInference(base_url=base_url, top_n=ALL)),
        "TEI, /v1 in the URL": lambda: rank(TextEmbeddingInference(base_url=v1, top_n=ALL)),
        "SiliconFlow": lambda: rank(SiliconFlowRerank(api_key="any", base_url=f"{v1}/rerank", top_n=ALL)),
        "Voyage": lambda: voyage(base_url),
    }


if __name__ == "__main__":
    report(cases)
