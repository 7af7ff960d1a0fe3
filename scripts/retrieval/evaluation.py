"""Reranks the passages of a first stage and measures the order for each question. Does not read files or print."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from scripts.retrieval import metrics
from scripts.retrieval.bm25 import BM25
from scripts.retrieval.corpus import SEED, Corpus
from scripts.retrieval.rankers import Ranker

FIRST_STAGE = "BM25"


@dataclass(frozen=True)
class Measures:
    """The measures of one ranker, one value per question."""

    ndcg: list[float] = field(default_factory=list)
    reciprocal_rank: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Collection:
    """A corpus and its BM25 index."""

    name: str
    corpus: Corpus
    index: BM25


def measure(collection: Collection, form: Callable[[str], str], count: int, rankers: Mapping[str, Ranker], top: int) -> dict[str, Measures]:
    """The measures of BM25, and of each ranker on BM25's `top` passages, for a fixed sample of `count` questions.

    `form` changes a query before it is used.
    """
    corpus = collection.corpus
    generator = random.Random(SEED)  # noqa: S311 - sampling, not secrecy
    questions = generator.sample(corpus.questions, min(count, len(corpus.questions)))
    measured = {name: Measures() for name in (FIRST_STAGE, *rankers)}
    for question in tqdm(questions, desc=collection.name, mininterval=10, ascii=True, leave=False):
        query = form(question.text)
        candidates = collection.index.top(query, top)
        passages = [corpus.passages[candidate] for candidate in candidates]
        rankings = {FIRST_STAGE: candidates}
        for name, ranker in rankers.items():
            order = np.argsort(-ranker.scores(query, passages), kind="stable")
            rankings[name] = [candidates[place] for place in order]
        for name, ranking in rankings.items():
            measured[name].ndcg.append(metrics.ndcg(ranking, question.relevant))
            measured[name].reciprocal_rank.append(metrics.reciprocal_rank(ranking, question.relevant))
    return measured
