"""The recipe, its examples and the saved state; a stand-in for the base model's vectors keeps it quick."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("tqdm")

from scripts.retrieval import examples  # noqa: E402
from scripts.retrieval.bm25 import BM25  # noqa: E402
from scripts.retrieval.corpus import Corpus, Question  # noqa: E402
from scripts.training.recipe import Recipe  # noqa: E402
from scripts.training.state import Run  # noqa: E402

PASSAGES = [f"passage {number} about {'cats' if number % 2 else 'dogs'}" for number in range(30)]
CORPUS = Corpus(
    PASSAGES,
    ["odd" if number % 2 else "even" for number in range(30)],
    [Question(f"passage {number}?", frozenset({number}), "odd" if number % 2 else "even") for number in range(20)]
    + [Question("a question of no passage", frozenset(), "odd")],
)


class LetterEncoder:
    """Unit vectors of letter counts."""

    def encode(self, texts: Sequence[str], title: str | None = None) -> NDArray[np.float32]:  # noqa: ARG002
        counts = np.array([[text.count(letter) + 0.1 for letter in "abcdefgs0123456789"] for text in texts])
        vectors: NDArray[np.float32] = (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
        return vectors


ENCODE = LetterEncoder().encode
TEXTS = examples.Texts(CORPUS, ENCODE(PASSAGES), BM25(PASSAGES))


def taught() -> list[examples.Example]:
    return examples.taught(TEXTS, CORPUS.questions, ENCODE, seed=3)


def test_a_labelled_example_prefers_its_own_passage() -> None:
    made = examples.labelled(TEXTS, CORPUS.questions[:20], ENCODE, seed=1)
    for example, question in zip(made, CORPUS.questions, strict=False):
        assert {example.passages[0]} == question.relevant
        assert example.target[0] >= 1 - examples.TEACHER_SHARE
        assert sum(example.target) == pytest.approx(1, abs=1e-4)
        assert example.likely == (1, 0, 0, 0, 0, 0)
        assert len(set(example.passages)) == examples.CANDIDATES


def test_taught_targets_are_probabilities() -> None:
    for example in taught():
        assert sum(example.target) == pytest.approx(1, abs=1e-4)
        assert min(example.target) >= 0
        assert all(0 <= likely <= 1 for likely in example.likely)
        assert len(set(example.passages)) == examples.CANDIDATES


def test_own_passage_leads_and_gets_its_share() -> None:
    own = [(example, question) for example, question in zip(taught(), CORPUS.questions, strict=True) if question.relevant]
    assert len(own) == 20
    assert all({example.passages[0]} == question.relevant for example, question in own)
    assert all(example.target[0] >= examples.OWN_SHARE for example, _ in own)


def test_the_teachers_logit_rises_with_both_similarities() -> None:
    cosine, matches = np.array([0.1, 0.5, 0.1], dtype=np.float32), np.array([1.0, 1.0, 3.0], dtype=np.float32)
    low, by_cosine, by_match = examples.teach(cosine, matches, bound=4.0)
    assert by_cosine - low == pytest.approx(0.4 * examples.COSINE_WEIGHT)
    assert by_match - low == pytest.approx(0.5 * examples.MATCH_WEIGHT)
    assert examples.teach(cosine, 0 * matches, bound=0.0)[0] == pytest.approx(0.1 * examples.COSINE_WEIGHT + examples.TEACHER_BIAS)


def test_equal_seeds_make_equal_examples() -> None:
    assert taught() == taught()


def test_learning_rate_rises_and_ends_at_zero() -> None:
    recipe = Recipe(steps=50, warmup_steps=10)
    rates = [recipe.rate(step) for step in range(51)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[50] == 0


def new_run() -> Run:
    torch.manual_seed(1)
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return Run(model, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, Recipe(steps=20, warmup_steps=2).rate))


def advance(run: Run, steps: int) -> None:
    for _ in range(steps):
        torch.autograd.backward(run.model(torch.randn(4, 3)).square().mean())
        run.optimizer.step()
        run.optimizer.zero_grad()
        run.scheduler.step()


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    unbroken = new_run()
    advance(unbroken, 3)
    unbroken.save(tmp_path / "state.pt", 3)
    advance(unbroken, 4)
    resumed = new_run()
    assert resumed.restore(tmp_path / "state.pt") == 3
    advance(resumed, 4)
    assert torch.equal(resumed.model.weight, unbroken.model.weight)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]
