"""Ranks BM25's best passages again with the bundle in place and prints how much better the order is.

SQuAD dev is of the training's kind, COVID-QA (scientific papers) is not. Knows the tables; rankers, data sets and
metrics are in `scripts.retrieval`.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from facade.errors import BundleError
from scripts.retrieval import covid_qa, metrics, squad
from scripts.retrieval.base_encoder import installed
from scripts.retrieval.bm25 import BM25
from scripts.retrieval.corpus import Corpus, DataMissingError, data_file
from scripts.retrieval.rankers import BundleRanker, CosineRanker, Ranker

SEED = 20261122
FIRST_STAGE = "BM25"


@dataclass(frozen=True)
class Measures:
    """One ranker's values, question by question."""

    ndcg: list[float]
    reciprocal_rank: list[float]


def main(arguments: list[str] | None = None) -> int:
    """Evaluates as the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        reranker = BundleRanker(options.bundle)
        squad_dev = squad.load(data_file("squad11_dev.json", options.data))
        papers = covid_qa.load(data_file("covidqa.json", options.data))
    except (BundleError, DataMissingError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    rankers: dict[str, Ranker] = {reranker.model_id: reranker}
    _report("SQuAD 1.1 dev", evaluate(squad_dev, rankers, options.questions, options.top), options.top)
    if installed():
        rankers = {"base bi-encoder, cosine": CosineRanker(), **rankers}
    _report("COVID-QA", evaluate(papers, rankers, options.covid_questions, options.top), options.top)
    return 0


def evaluate(corpus: Corpus, rankers: Mapping[str, Ranker], count: int, top: int) -> dict[str, Measures]:
    """The measures of BM25 and of every ranker of its `top` passages, over a fixed sample of `count` questions."""
    index = BM25(corpus.passages)
    generator = random.Random(SEED)  # noqa: S311 - sampling, not secrecy
    questions = generator.sample(corpus.questions, min(count, len(corpus.questions)))
    measured = {name: Measures([], []) for name in (FIRST_STAGE, *rankers)}
    for question in tqdm(questions, mininterval=10, ascii=True, leave=False):
        candidates = index.top(question.text, top)
        passages = [corpus.passages[candidate] for candidate in candidates]
        rankings = {FIRST_STAGE: candidates}
        for name, ranker in rankers.items():
            order = np.argsort(-ranker.scores(question.text, passages), kind="stable")
            rankings[name] = [candidates[place] for place in order]
        for name, ranking in rankings.items():
            measured[name].ndcg.append(metrics.ndcg(ranking, question.relevant))
            measured[name].reciprocal_rank.append(metrics.reciprocal_rank(ranking, question.relevant))
    return measured


def _report(title: str, measured: Mapping[str, Measures], top: int) -> None:
    first = measured[FIRST_STAGE]
    print(f"\n{title}: {len(first.ndcg)} questions, BM25's top {top} ranked again; differences to BM25 with 95 % intervals")
    print(f"{'':36}{'nDCG@10':>9}{'difference':>28}{'MRR@10':>9}{'difference':>28}")
    for name, measures in measured.items():
        cells = _cells(first.ndcg, measures.ndcg) + _cells(first.reciprocal_rank, measures.reciprocal_rank)
        print(f"{name:36}{cells}")


def _cells(first: Sequence[float], values: Sequence[float]) -> str:
    mean = f"{np.mean(values):9.4f}"
    if values is first:
        return mean + " " * 28
    gain = metrics.paired_bootstrap(first, values)
    return mean + f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]".rjust(28)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.evaluate",
        description="Ranks BM25's best passages again with a model bundle and compares nDCG@10 and MRR@10, on SQuAD 1.1 "
        "dev and on COVID-QA. The samples are fixed: two runs of one bundle print the same figures.",
    )
    parser.add_argument("--bundle", type=Path, default=Path("model_repository/reranker/1"), help="default: %(default)s")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--top", type=int, default=20, help="passages per question (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=500, help="questions of SQuAD dev (default: %(default)s)")
    parser.add_argument("--covid-questions", type=int, default=200, help="questions of COVID-QA (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
