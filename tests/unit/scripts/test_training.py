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
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[examples.Example]:
    monkeypatch.setattr(examples, "BaseEncoder", LetterEncoder)
    return examples.taught(CORPUS, 21, seed=3)


def test_labelled_example_is_certain_of_its_own_passage() -> None:
    for example in examples.labelled(Corpus(CORPUS.passages, CORPUS.groups, CORPUS.questions[:20]), 10, seed=1):
        assert example.target == (1, 0, 0, 0, 0, 0)
        assert example.passages[0].split(" about")[0] == example.query.rstrip("?")
        assert len(set(example.passages)) == examples.CANDIDATES


def test_taught_targets_are_probabilities(taught: list[examples.Example]) -> None:
    for example in taught:
        assert sum(example.target) == pytest.approx(1, abs=1e-4)
        assert min(example.target) >= 0
        assert len(set(example.passages)) == examples.CANDIDATES


def test_own_passage_leads_and_gets_its_share(taught: list[examples.Example]) -> None:
    own = [example for example in taught if example.query.endswith("?")]
    assert all(example.passages[0].split(" about")[0] == example.query.rstrip("?") for example in own)
    assert all(example.target[0] >= examples.OWN_SHARE for example in own)


def test_equal_seeds_make_equal_examples(taught: list[examples.Example]) -> None:
    assert taught == examples.taught(CORPUS, 21, seed=3)


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
