"""What is asked in a benchmark: questions of SQuAD dev, and passages cut from its articles at random places. Knows no server."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.retrieval import squad
from scripts.retrieval.corpus import SEED, Corpus, DataMissingError, Question, data_file

# Longer passages are left out of the score check: at the limit of 512 tokens each peer truncates in its own way, and speed is the subject.
_MOST_WORDS_CHECKED = 250
_TRIES = 1000  # at a passage that was not asked before; one is enough in SQuAD dev, of whose passages a run asks one in a hundred


@dataclass(frozen=True)
class Ask:
    """One request."""

    query: str
    passages: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """How large a request is: passages, and words of each, evenly spread between the two bounds."""

    passages: int = 32
    fewest_words: int = 20
    most_words: int = 200


USUAL = Shape()


class Texts:
    """The articles of SQuAD dev as words, and the questions. Raises DataMissingError where the file is not there."""

    def __init__(self, data: Path | None = None) -> None:
        self._corpus: Corpus = squad.load(data_file("squad11_dev.json", data))
        articles: defaultdict[str, list[str]] = defaultdict(list)
        for passage, group in zip(self._corpus.passages, self._corpus.groups, strict=True):
            articles[group] += passage.split()
        self._articles = list(articles.values())

    def asks(self, *shapes: Shape, seed: int = SEED) -> Iterator[Ask]:
        """Requests without end, of the given shapes in turn; the same ones for the same seed.

        No passage comes twice, and no question until all have been asked: a server's cache can't help it. Raises DataMissingError
        where there are no more.
        """
        generator = random.Random(seed)  # noqa: S311 (sampling, not secrecy)
        questions = self._questions(generator)
        seen: set[str] = set()
        while True:
            for shape in shapes:
                yield Ask(next(questions), tuple(self._unseen(generator, shape, seen) for _ in range(shape.passages)))

    def check_asks(self, count: int, passages: int) -> list[Ask]:
        """Requests for comparing scores: a question, the paragraph that answers it, and others of the same article."""
        generator = random.Random(SEED)  # noqa: S311
        asks: list[Ask] = []
        for question in generator.sample(self._corpus.questions, len(self._corpus.questions)):
            candidates = self._candidates(question)
            own = next(iter(question.relevant))
            if own in candidates and len(candidates) >= passages:
                others = generator.sample([index for index in candidates if index != own], passages - 1)
                chosen = generator.sample([own, *others], passages)
                asks.append(Ask(question.text, tuple(self._corpus.passages[index] for index in chosen)))
            if len(asks) == count:
                break
        return asks

    def _candidates(self, question: Question) -> list[int]:
        return [
            index
            for index, (passage, group) in enumerate(zip(self._corpus.passages, self._corpus.groups, strict=True))
            if group == question.group and len(passage.split()) <= _MOST_WORDS_CHECKED
        ]

    def _questions(self, generator: random.Random) -> Iterator[str]:
        texts = list(dict.fromkeys(question.text for question in self._corpus.questions))
        while True:
            generator.shuffle(texts)
            yield from texts

    def _unseen(self, generator: random.Random, shape: Shape, seen: set[str]) -> str:
        for _ in range(_TRIES):
            length = generator.randint(shape.fewest_words, shape.most_words)
            words = generator.choice(self._articles)
            start = generator.randint(0, max(len(words) - length, 0))
            passage = " ".join(words[start : start + length])
            if len(words) >= length and passage not in seen:
                seen.add(passage)
                return passage
        raise DataMissingError(f"the articles have too few texts of {shape.fewest_words} to {shape.most_words} words: use all of SQuAD dev")
