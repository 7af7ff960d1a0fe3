"""Training examples: a query, its candidate passages, and a target for each of them.

SQuAD has labels; for the other texts a teacher (the base bi-encoder together with BM25) scores the passages. Does not know the model that
is trained.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.retrieval.bm25 import BM25, best
from scripts.retrieval.corpus import Corpus, Question
from scripts.retrieval.query_forms import as_asked, as_keywords, with_typos, without_mark

CANDIDATES = 6
NEAR, FAR = 20, 100  # a first stage returns about FAR passages; the hardest are among the first NEAR
# The teacher's logit is COSINE_WEIGHT * cosine + MATCH_WEIGHT * (BM25 as a share of its bound) + TEACHER_BIAS.
COSINE_WEIGHT = 15.0
MATCH_WEIGHT = 10.0
TEACHER_BIAS = -12.0
TEACHER_SHARE = 0.1  # of a labelled target: some unlabelled passages answer the question, too
OWN_SHARE = 0.2  # of a taught target, added for the query's own passage
QUERIES_AT_ONCE = 256
FORMS: tuple[tuple[Callable[[str], str], float], ...] = ((as_asked, 0.6), (as_keywords, 0.15), (with_typos, 0.15), (without_mark, 0.1))


@dataclass(frozen=True)
class Example:
    """One list to rank. `passages` are indices; `target` sums to 1 over them; `likely` are independent probabilities."""

    query: str
    passages: tuple[int, ...]
    target: tuple[float, ...]
    likely: tuple[float, ...]


@dataclass(frozen=True)
class Texts:
    """A corpus with its indexes: FP32 unit vectors [passages, 384] and BM25."""

    corpus: Corpus
    vectors: NDArray[np.float32]
    index: BM25


Encode = Callable[[Sequence[str]], NDArray[np.float32]]


def labelled(texts: Texts, questions: Sequence[Question], encode: Encode, seed: int) -> list[Example]:
    """The questions with their own passage, two near ones each by BM25 and by the bi-encoder, and one farther off by BM25."""
    generator = random.Random(seed)  # noqa: S311 - sampling, not secrecy
    examples = []
    for question, cosine, matches in _similarities(texts, questions, encode):
        own = min(question.relevant)
        chosen = _near(generator, [own], cosine, matches, (2, 2, 1))
        belief = teach(cosine[chosen], matches[chosen], texts.index.bound(question.text))
        sure = np.eye(len(chosen))[0]
        examples.append(_example(generator, question, chosen, TEACHER_SHARE * _softmax(belief) + (1 - TEACHER_SHARE) * sure, sure))
    return examples


def taught(texts: Texts, questions: Sequence[Question], encode: Encode, seed: int) -> list[Example]:
    """The queries with one of their own passages if any, near ones by both indexes, one farther off and one at random."""
    generator = random.Random(seed)  # noqa: S311 - sampling, not secrecy
    examples = []
    for question, cosine, matches in _similarities(texts, questions, encode):
        own = generator.sample(sorted(question.relevant), min(1, len(question.relevant)))
        chosen = _near(generator, own, cosine, matches, (2, 1, 1))
        belief = teach(cosine[chosen], matches[chosen], texts.index.bound(question.text))
        target = _softmax(belief)
        if own:
            target = (1 - OWN_SHARE) * target + OWN_SHARE * np.eye(len(chosen))[0]
        examples.append(_example(generator, question, chosen, target, 1 / (1 + np.exp(-belief))))
    return examples


def teach(cosine: NDArray[np.float32], matches: NDArray[np.float32], bound: float) -> NDArray[np.float64]:
    """The teacher's logits from cosine similarities and BM25 scores, of which `bound` is the upper bound."""
    share = matches.astype(np.float64) / max(bound, 1e-6)
    return COSINE_WEIGHT * cosine.astype(np.float64) + MATCH_WEIGHT * share + TEACHER_BIAS


def _similarities(
    texts: Texts, questions: Sequence[Question], encode: Encode
) -> Iterator[tuple[Question, NDArray[np.float32], NDArray[np.float32]]]:
    """Each question with its cosine similarity to every passage and every passage's BM25 score."""
    for start in range(0, len(questions), QUERIES_AT_ONCE):
        some = questions[start : start + QUERIES_AT_ONCE]
        cosines = encode([question.text for question in some]) @ texts.vectors.T
        for question, cosine in zip(some, cosines, strict=True):
            yield question, cosine, texts.index.scores(question.text)


def _near(
    generator: random.Random, chosen: list[int], cosine: NDArray[np.float32], matches: NDArray[np.float32], counts: tuple[int, int, int]
) -> list[int]:
    """`chosen`, then `counts` of the bi-encoder's nearest, of BM25's nearest and of BM25's farther ones, then random ones."""
    ranked = best(matches, FAR)
    for pool, count in zip((best(cosine, NEAR), ranked[:NEAR], ranked[NEAR:]), counts, strict=True):
        free = [passage for passage in pool if passage not in chosen]
        chosen = chosen + generator.sample(free, min(count, len(free)))
    while len(chosen) < CANDIDATES:
        passage = generator.randrange(len(cosine))
        if passage not in chosen:
            chosen = [*chosen, passage]
    return chosen


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _example(
    generator: random.Random, question: Question, chosen: list[int], target: NDArray[np.float64], likely: NDArray[np.float64]
) -> Example:
    (form,) = generator.choices([form for form, _ in FORMS], [share for _, share in FORMS])
    return Example(form(question.text), tuple(chosen), tuple(np.round(target, 5).tolist()), tuple(np.round(likely, 5).tolist()))
