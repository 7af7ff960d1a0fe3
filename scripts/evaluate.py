"""Measures how much a bundle improves the order of BM25's best passages.

SQuAD dev is in the training's domain, COVID-QA (scientific papers) is not; both are for evaluation only. The held-out textbook and
proposals are for choosing between recipes. Knows the tables; rankers, data sets and measures are in `scripts.retrieval`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facade.config.engine_settings import PRECISIONS
from facade.errors import RerankerError
from scripts.arguments import Parser, positive, whole
from scripts.bert.base_model import installed
from scripts.retrieval import covid_qa, held_out, squad
from scripts.retrieval.bm25 import BM25
from scripts.retrieval.corpus import Corpus, DataMissingError, data_file
from scripts.retrieval.evaluation import FIRST_STAGE, Collection, Measures, measure
from scripts.retrieval.metrics import paired_bootstrap
from scripts.retrieval.query_forms import FORMS
from scripts.retrieval.rankers import BundleRanker, CosineRanker, RandomRanker, Ranker

BASE = "base bi-encoder"
BUNDLE = Path("model_repository/reranker/1")
SETS: dict[str, tuple[str, int, Callable[[Path | None], Corpus]]] = {
    "squad": ("SQuAD 1.1 dev", 2000, lambda data: squad.load(data_file("squad11_dev.json", data))),
    "covid-qa": ("COVID-QA", 1000, lambda data: covid_qa.load(data_file("covidqa.json", data))),
    "textbook": ("held-out textbook", 500, held_out.textbook),
    "proposals": ("held-out proposals", 500, held_out.proposals),
}


@dataclass(frozen=True)
class Row:
    """One line of a table: a ranker's mean measures, and its differences to BM25 and to the base model, each (mean, low, high)."""

    ranker: str
    ndcg: float
    reciprocal_rank: float
    to_first: tuple[float, float, float] | None
    to_base: tuple[float, float, float] | None


def main(arguments: list[str] | None = None) -> int:
    """Evaluate; return 1 if data or a bundle can't be read."""
    options = _parser().parse_args(arguments)
    tables: list[dict[str, Any]] = []
    try:
        rankers = _rankers(options)
        for name in options.set or SETS:
            for entry in _tables(name, rankers, options):
                tables.append(entry)
                if options.json:
                    options.json.write_text(json.dumps({**vars(options), "tables": tables}, default=str, indent=1) + "\n", encoding="utf-8")
    except (RerankerError, DataMissingError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    return 0


def _rankers(options: argparse.Namespace) -> dict[str, Ranker]:
    bundles = [BundleRanker(folder, precision) for folder in options.bundle or [BUNDLE] for precision in options.precision or ["auto"]]
    base: dict[str, Ranker] = {BASE: CosineRanker()} if installed() else {}
    return {**base, "random order": RandomRanker(), **{bundle.name: bundle for bundle in bundles}}


def _tables(name: str, rankers: Mapping[str, Ranker], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Print a table per form of the data set's queries, and yield its figures."""
    title, questions, load = SETS[name]
    corpus = load(options.data)
    collection = Collection(title, corpus, BM25(corpus.passages))
    for form, change in FORMS.items():
        count = (options.questions or questions) if form == "as asked" else options.form_questions
        if not count:
            continue
        rows = table(measure(collection, change, count, rankers, options.top))
        asked = min(count, len(corpus.questions))
        print(_render(f"{title}, {form}: {asked} questions, BM25's top {options.top} reranked", rows), flush=True)
        yield {"set": title, "form": form, "questions": asked, "rows": [vars(row) for row in rows]}


def table(measured: Mapping[str, Measures]) -> list[Row]:
    """A row per ranker. Differences are of nDCG@10, paired by question, with 95 % bootstrap intervals."""
    first, base = measured[FIRST_STAGE], measured.get(BASE)
    return [
        Row(
            name,
            float(np.mean(own.ndcg)),
            float(np.mean(own.reciprocal_rank)),
            _difference(first, own) if own is not first else None,
            _difference(base, own) if base and own is not base and own is not first else None,
        )
        for name, own in measured.items()
    ]


def _difference(before: Measures, after: Measures) -> tuple[float, float, float]:
    gain = paired_bootstrap(before.ndcg, after.ndcg)
    return gain.mean, gain.low, gain.high


def _render(title: str, rows: list[Row]) -> str:
    lines = [f"\n{title}", f"{'':48}{'nDCG@10':>9}{'MRR@10':>9}{'nDCG@10 to BM25':>28}{'nDCG@10 to the base':>28}"]
    for row in rows:
        cells = "".join(f"{_interval(difference):>28}" for difference in (row.to_first, row.to_base))
        lines.append(f"{row.ranker:48}{row.ndcg:9.4f}{row.reciprocal_rank:9.4f}{cells}")
    return "\n".join(lines)


def _interval(difference: tuple[float, float, float] | None) -> str:
    return "{:+.4f} [{:+.4f}, {:+.4f}]".format(*difference) if difference else ""


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m scripts.evaluate",
        description="Reranks BM25's best passages with a model bundle and compares nDCG@10 and MRR@10 with BM25, with the base model as a "
        "bi-encoder, and with a random order, for queries as asked, as keywords, and with typos. The samples are fixed, so two runs of "
        "one bundle print the same figures. A full run takes about an hour on two cores; --set and --questions shorten it.",
    )
    parser.add_argument("--bundle", type=Path, action="append", help=f"a bundle's folder; may be repeated (default: {BUNDLE})")
    parser.add_argument("--data", type=Path, help="folder of the data sets (default: RERANKER_DATA, else ../shared/data)")
    parser.add_argument("--set", action="append", choices=SETS, help="a data set; may be repeated (default: all)")
    parser.add_argument("--top", type=positive, default=100, help="passages per question (default: %(default)s)")
    parser.add_argument(
        "--questions", type=positive, help="questions as asked, per data set (default: 2000 of SQuAD, 1000 of COVID-QA, 500 of the others)"
    )
    parser.add_argument(
        "--form-questions",
        type=whole,
        default=500,
        help="questions as keywords and with typos, per data set; 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        action="append",
        choices=PRECISIONS,
        help="as RERANKER_PRECISION; may be repeated (default: auto, as served)",
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file, after each table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
