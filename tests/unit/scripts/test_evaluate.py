"""Evaluation with stand-ins for the rankers."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

from scripts import evaluate
from scripts.retrieval.bm25 import BM25
from scripts.retrieval.corpus import Corpus, Question
from scripts.retrieval.evaluation import Collection, Measures, measure
from scripts.retrieval.query_forms import as_asked
from scripts.retrieval.rankers import RandomRanker, Ranker

CORPUS = Corpus(
    [f"common words and item{number}" for number in range(10)],
    ["all"] * 10,
    [Question("common words", frozenset({number}), "all") for number in range(10)],
)


class Backwards:
    """Prefers the passages with the highest number."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:  # noqa: ARG002
        return np.array([int(passage[-1]) for passage in passages], dtype=np.float32)


COLLECTION = Collection("ten", CORPUS, BM25(CORPUS.passages))


def measured(rankers: dict[str, Ranker], count: int = 10, top: int = 10) -> dict[str, Measures]:
    return measure(COLLECTION, as_asked, count, rankers, top)


def test_rankers_order_the_first_stage_anew() -> None:
    found = measured({"backwards": Backwards()})
    assert sorted(found["backwards"].ndcg) == pytest.approx(sorted(found["BM25"].ndcg))
    assert sum(found["backwards"].reciprocal_rank) == pytest.approx(sum(1 / place for place in range(1, 11)))


def test_passages_that_the_first_stage_missed_stay_missed() -> None:
    assert measured({"backwards": Backwards()}, top=4)["backwards"].ndcg.count(0.0) == 6


def test_samples_and_the_random_order_are_fixed() -> None:
    first, second = (measured({"random": RandomRanker()}, count=5) for _ in range(2))
    assert first == second


def test_the_form_is_what_both_stages_see() -> None:
    asked: list[str] = []

    class Listening(Backwards):
        def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
            asked.append(query)
            return super().scores(query, passages)

    found = measure(COLLECTION, lambda _: "item7", 10, {"listening": Listening()}, 1)
    assert asked == ["item7"] * 10
    assert sum(found["BM25"].ndcg) == 1  # of ten questions the one whose passage is item7


def test_differences_are_to_bm25_and_to_the_base() -> None:
    low, high, same = Measures([0.2, 0.4], [0.1, 0.1]), Measures([0.5, 0.7], [0.2, 0.4]), Measures([0.5, 0.7], [0.2, 0.4])
    rows = {row.ranker: row for row in evaluate.table({"BM25": low, evaluate.BASE: high, "ours": same})}
    assert rows["BM25"].to_first is rows["BM25"].to_base is rows[evaluate.BASE].to_base is None
    assert rows["ours"].to_first == pytest.approx((0.3, 0.3, 0.3))
    assert rows["ours"].to_base == (0, 0, 0)
    assert (rows["ours"].ndcg, rows["ours"].reciprocal_rank) == pytest.approx((0.6, 0.3))


def test_missing_data_ends_with_one_line(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert evaluate.main(["--data", str(tmp_path), "--bundle", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
