"""python -m pytest tests/clients/test_trec_run.py [--full]

A TREC run of 200 queries, reranked by `make rerank-bulk` and measured by trec_eval, has the nDCG that `make eval-model` prints.
"""

import json
import random
from pathlib import Path

import orjson
import pytest

from scripts import evaluate, rerank_bulk
from scripts.retrieval import squad
from scripts.retrieval.bm25 import BM25
from scripts.retrieval.corpus import SEED, Corpus, DataMissingError, data_file
from tests.clients.driving import drive
from tests.clients.test_retrieval import PYTHON
from tests.conftest import ROOT

QUERIES = 200


def put(path: Path, rows: list[dict[str, str]]) -> str:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def first_stage(folder: Path, corpus: Corpus, top: int) -> tuple[list[str], str]:
    """The arguments that rerank BM25's passages for the questions that `make eval-model` asks, and the file of judgements."""
    questions = random.Random(SEED).sample(corpus.questions, QUERIES)
    index = BM25(corpus.passages)
    with (folder / "bm25.run").open("w") as run, (folder / "judgements").open("w") as judgements:
        for number, question in enumerate(questions):
            scores = index.scores(question.text)
            for rank, passage in enumerate(index.top(question.text, top), 1):
                run.write(f"q{number} Q0 p{passage} {rank} {scores[passage]} bm25\n")
            judgements.writelines(f"q{number} 0 p{passage} 1\n" for passage in question.relevant)
    queries = put(folder / "queries.jsonl", [{"_id": f"q{number}", "text": question.text} for number, question in enumerate(questions)])
    passages = put(
        folder / "corpus.jsonl", [{"_id": f"p{number}", "title": "", "text": text} for number, text in enumerate(corpus.passages)]
    )
    return [str(folder / "bm25.run"), "--queries", queries, "--corpus", passages], str(folder / "judgements")


def of_evaluation(folder: Path, top: int) -> dict[str, float]:
    """nDCG@10 by ranker, as `make eval-model` measures it."""
    options = f"--set squad --questions {QUERIES} --form-questions 0 --top {top} --json {folder / 'out.json'}"
    assert evaluate.main(options.split()) == 0
    (table,) = json.loads((folder / "out.json").read_text())["tables"]
    return {row["ranker"]: row["ndcg"] for row in table["rows"]}


def test_trec_eval_measures_what_the_evaluation_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(evaluate, "installed", lambda: False)  # the base model takes longer than all else
    try:
        corpus = squad.load(data_file("squad11_dev.json"))
    except DataMissingError as missing:
        pytest.skip(str(missing))
    top = 100 if full else 10
    run, judgements = first_stage(tmp_path, corpus, top)
    assert rerank_bulk.main([*run, "--out", str(tmp_path / "reranked.run")]) == 0
    measured = of_evaluation(tmp_path, top)
    for name, ranker in (("bm25.run", "BM25"), ("reranked.run", next(name for name in measured if name not in {"BM25", "random order"}))):
        outcome = drive("trec_eval", str(tmp_path / name), judgements, PYTHON)["nDCG@10"]
        assert outcome.error is None, outcome.error
        print(f"{name}: trec_eval {outcome.value:.6f}, make eval-model {measured[ranker]:.6f}")
        # Equal scores of BM25 are in the order of the passages here, and in that of their names in trec_eval.
        assert outcome.value == pytest.approx(measured[ranker], abs=1e-9 if name == "reranked.run" else 0.01)
