"""BEIR's and MTEB's own reranking evaluation of `scripts.cross_encoder`; the cases of test_retrieval.py."""

from collections.abc import Mapping
from typing import Any

import mteb
from beir.reranking import Rerank
from beir.retrieval.evaluation import EvaluateRetrieval
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from scripts.cross_encoder import CrossEncoder, MtebCrossEncoder
from tests.clients.collection import CORPUS, QUERIES, RELEVANT, candidates
from tests.clients.drivers.report import Case, report


def beir(base_url: str) -> dict[str, float]:
    """What examples/retrieval/evaluation/reranking of BEIR does with a local CrossEncoder."""
    first = {query: {document: float(-place) for place, document in enumerate(candidates(query))} for query in QUERIES}
    corpus = {document: {"title": "", "text": text} for document, text in CORPUS.items()}
    results = Rerank(CrossEncoder(base_url), batch_size=128).rerank(corpus, QUERIES, first, top_k=100)
    ndcg, _, recall, _ = EvaluateRetrieval.evaluate(RELEVANT, results, [10])
    return {**ndcg, **recall}


class LocalReranking(AbsTaskRetrieval):  # type: ignore[misc]  # mypy sees no MTEB
    """A reranking task of MTEB whose data is the local collection."""

    metadata = TaskMetadata(
        name="LocalReranking",
        description="a local collection",
        dataset={"path": "local", "revision": "1"},
        type="Reranking",
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
    )

    def load_data(self, *_: Any, **__: Any) -> None:
        split = {
            "corpus": Dataset.from_list([{"id": document, "title": "", "text": text} for document, text in CORPUS.items()]),
            "queries": Dataset.from_list([{"id": query, "text": text} for query, text in QUERIES.items()]),
            "relevant_docs": RELEVANT,
            "top_ranked": {query: candidates(query) for query in QUERIES},
        }
        self.dataset = {"default": {"test": split}}
        self.data_loaded = True


def of_mteb(base_url: str, model: str) -> dict[str, float]:
    result = mteb.evaluate(MtebCrossEncoder(base_url, model), LocalReranking(), cache=None, co2_tracker=False, show_progress_bar=False)
    scores = result.task_results[0].scores["test"][0]
    return {"NDCG@10": scores["ndcg_at_10"], "Recall@10": scores["recall_at_10"], "model": result.model_name}


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    return {"BEIR": lambda: beir(base_url), "MTEB": lambda: of_mteb(base_url, model)}


if __name__ == "__main__":
    report(cases)
