"""The examples of each step of a run, made once and cached in a file. Knows the data sets, not the model."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scripts.retrieval import diverse, squad
from scripts.retrieval.base_encoder import BaseEncoder
from scripts.retrieval.bm25 import BM25
from scripts.retrieval.corpus import Corpus, Question, data_file
from scripts.retrieval.examples import Example, Texts, labelled, taught
from scripts.training.recipe import Recipe


@dataclass(frozen=True)
class Steps:
    """A list of examples for each step; their passages are indices into `passages`."""

    passages: list[str]
    steps: list[list[Example]]


def load(recipe: Recipe, folder: Path, data: Path | None) -> Steps:
    """The steps of a recipe, read from `folder` if cached there, else made and cached.

    Making them embeds all passages with the base model, 15 minutes on two cores. The vectors are cached, too.
    """
    corpora = _corpora(recipe, data)
    passages = [passage for corpus in corpora for passage in corpus.passages]
    cache = folder / f"examples-{recipe.round}.json"
    key = {"recipe": recipe.to_json(), "passages": _digest(passages)}
    if cache.is_file():
        stored = json.loads(cache.read_text(encoding="utf-8"))
        if key.items() <= stored.items():
            return Steps(passages, [[Example(*fields) for fields in step] for step in stored["steps"]])
    made = _make(recipe, corpora, folder)
    rows = [[(example.query, example.passages, example.target, example.likely) for example in step] for step in made]
    cache.write_text(json.dumps({**key, "steps": rows}), encoding="utf-8")
    return Steps(passages, made)


def _corpora(recipe: Recipe, data: Path | None) -> tuple[Corpus, Corpus, Corpus]:
    """SQuAD's paragraphs, windows of them, and the texts that the teacher scores."""
    train = data_file("squad11_train.json", data)
    paragraphs = squad.training(train)
    return paragraphs, squad.training_windows(train), diverse.training(paragraphs.passages[::3], data, recipe.seed)


def _make(recipe: Recipe, corpora: tuple[Corpus, Corpus, Corpus], folder: Path) -> list[list[Example]]:
    encoder = BaseEncoder()
    generator = random.Random(recipe.seed + recipe.round)  # noqa: S311 - sampling, not secrecy
    per_step = (recipe.paragraphs_per_step, recipe.windows_per_step, recipe.taught_per_step)
    steps: list[list[Example]] = [[] for _ in range(recipe.steps)]
    offset = 0
    for corpus, make, count in zip(corpora, (labelled, labelled, taught), per_step, strict=True):
        texts = Texts(corpus, _vectors(encoder, corpus.passages, folder), BM25(corpus.passages))
        drawn = _draw(generator, corpus.questions, count * recipe.steps)
        for place, example in enumerate(make(texts, drawn, encoder.encode, recipe.seed + recipe.round)):
            moved = tuple(passage + offset for passage in example.passages)
            steps[place // count].append(Example(example.query, moved, example.target, example.likely))
        offset += len(corpus.passages)
    return steps


def _draw(generator: random.Random, questions: Sequence[Question], count: int) -> list[Question]:
    """`count` questions in random order; none is drawn twice before all were drawn once."""
    drawn: list[Question] = []
    while len(drawn) < count:
        drawn.extend(generator.sample(questions, min(len(questions), count - len(drawn))))
    return drawn


def _vectors(encoder: BaseEncoder, passages: Sequence[str], folder: Path) -> NDArray[np.float32]:
    path = folder / f"vectors-{_digest(passages)}.npy"
    if not path.is_file():
        np.save(path, encoder.encode(passages, f"embedding {len(passages):,} passages").astype(np.float16))
    vectors: NDArray[np.float32] = np.load(path).astype(np.float32)
    return vectors


def _digest(passages: Sequence[str]) -> str:
    return sha256(chr(0).join(passages).encode()).hexdigest()[:12]
