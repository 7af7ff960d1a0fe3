"""Evaluation with stand-ins for the rankers."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

from scripts import evaluate
from scripts.retrieval.corpus import Corpus, Question

CORPUS = Corpus(
    [f"common words and item{number}" for number in range(10)],
    ["all"] * 10,
    [Question("common words", frozenset({number}), "all") for number in range(10)],
)


class Backwards:
    """Prefers the passages with the highest number."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:  # noqa: ARG002
        return np.array([int(passage[-1]) for passage in passages], dtype=np.float32)


def test_rankers_order_the_first_stage_anew() -> None:
    measured = evaluate.evaluate(CORPUS, {"backwards": Backwards()}, count=10, top=10)
    assert sorted(measured["backwards"].ndcg) == pytest.approx(sorted(measured["BM25"].ndcg))
    assert sum(measured["backwards"].reciprocal_rank) == pytest.approx(sum(1 / place for place in range(1, 11)))


def test_what_the_first_stage_missed_stays_missed() -> None:
    measured = evaluate.evaluate(CORPUS, {"backwards": Backwards()}, count=10, top=4)
    assert measured["backwards"].ndcg.count(0.0) == 6


def test_samples_are_fixed() -> None:
    first, second = (evaluate.evaluate(CORPUS, {}, count=5, top=10) for _ in range(2))
    assert first == second


def test_missing_data_ends_with_one_line(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    assert evaluate.main(["--data", str(tmp_path), "--bundle", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
