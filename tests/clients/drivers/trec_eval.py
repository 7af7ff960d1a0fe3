"""trec_eval by its Python binding; the case of test_trec_run.py. Its arguments are a run and the judgements."""

from collections.abc import Mapping
from pathlib import Path

import pytrec_eval

from tests.clients.drivers.report import Case, report


def mean_ndcg(run: str, judgements: str) -> float:
    with Path(judgements).open() as lines:
        evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(lines), {"ndcg_cut_10"})
    with Path(run).open() as lines:
        measured = evaluator.evaluate(pytrec_eval.parse_run(lines))
    return float(pytrec_eval.compute_aggregated_measure("ndcg_cut_10", [query["ndcg_cut_10"] for query in measured.values()]))


def cases(run: str, judgements: str) -> Mapping[str, Case]:
    return {"nDCG@10": lambda: mean_ndcg(run, judgements)}


if __name__ == "__main__":
    report(cases)
