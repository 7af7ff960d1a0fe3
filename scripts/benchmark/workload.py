"""The requests of a benchmark: questions of SQuAD dev, and passages cut from its articles at random places. Does not know servers."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.retrieval import squad
from scripts.retrieval.corpus import SEED, Corpus, DataMissingError, Question, data_file

# Longest passage of the score check: at the limit of 512 tokens peers truncate in different ways, which is not the subject.
_MOST_WORDS_CHECKED = 250
_TRIES = 1000  # to find an unused passage; in SQuAD dev, of which a run uses one in a hundred, the first try succeeds


@dataclass(frozen=True)
class Request:
    """One request."""

    query: str
    passages: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """The size of a request: its passages, and the words of each, uniform between two bounds."""

    passages: int = 32
    fewest_words: int = 20
    most_words: int = 200


USUAL = Shape()


class Texts:
    """The articles and questions of SQuAD dev. Raises DataMissingError if the file is missing."""

    def __init__(self, data: Path | None = None) -> None:
        self._corpus: Corpus = squad.load(data_file("squad11_dev.json", data))
        articles: defaultdict[str, list[str]] = defaultdict(list)
        for passage, group in zip(self._corpus.passages, self._corpus.groups, strict=True):
            articles[group] += passage.split()
        self._articles = list(articles.values())

    @property
    def passages(self) -> Sequence[str]:
        """All paragraphs."""
        return self._corpus.passages

    def requests(self, *shapes: Shape, seed: int = SEED) -> Iterator[Request]:
        """Endless requests of the given shapes in turn, equal for equal seeds.

        No passage repeats, and no question before all were used, so no cache of a server can help. Raises DataMissingError when the
        passages run out.
        """
        generator = random.Random(seed)  # noqa: S311 (sampling, not secrecy)
        questions = self._questions(generator)
        seen: set[str] = set()
        while True:
            for shape in shapes:
                yield Request(next(questions), tuple(self._unseen(generator, shape, seen) for _ in range(shape.passages)))

    def check_requests(self, count: int, passages: int) -> list[Request]:
        """`count` requests to compare scores: a question, its paragraph, and others of the same article."""
        generator = random.Random(SEED)  # noqa: S311
        requests: list[Request] = []
        for question in generator.sample(self._corpus.questions, len(self._corpus.questions)):
            candidates = self._candidates(question)
            own = next(iter(question.relevant))
            if own in candidates and len(candidates) >= passages:
                others = generator.sample([index for index in candidates if index != own], passages - 1)
                chosen = generator.sample([own, *others], passages)
                requests.append(Request(question.text, tuple(self._corpus.passages[index] for index in chosen)))
            if len(requests) == count:
                break
        return requests

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
