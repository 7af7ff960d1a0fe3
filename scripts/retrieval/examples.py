"""Makes training examples: a query, its candidate passages, and the probability of each being the right one.

SQuAD's own labels give certainty; for the other texts a teacher does, the base bi-encoder together with BM25. Does not
know the model that learns from them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.retrieval.base_encoder import BaseEncoder
from scripts.retrieval.bm25 import BM25, best
from scripts.retrieval.corpus import Corpus, Question

CANDIDATES = 6
NEIGHBOURS = 20  # the first stage hands about so many passages to a reranker
# The teacher's logit: together they rank 250 of SQuAD's training questions (BM25 top 20) at nDCG@10 0.82,
# BM25 alone at 0.77 and the cosine alone at 0.77; other weights nearby rank the same.
COSINE_WEIGHT = 15.0
BM25_WEIGHT = 6.0  # for BM25 divided by its best score among the candidates
OWN_SHARE = 0.2  # of the target that a query's own paragraph gets beside the teacher's opinion


@dataclass(frozen=True)
class Example:
    """One list to rank; `target` sums to 1 over `passages`."""

    query: str
    passages: tuple[str, ...]
    target: tuple[float, ...]


def labelled(corpus: Corpus, count: int, seed: int) -> list[Example]:
    """`count` questions with their own passage, three of BM25's best, one of the same group and random ones."""
    generator = random.Random(seed)  # noqa: S311 - sampling, not secrecy
    index = BM25(corpus.passages)
    members: dict[str, list[int]] = {}
    for passage, group in enumerate(corpus.groups):
        members.setdefault(group, []).append(passage)
    examples = []
    for question in generator.sample(corpus.questions, count):
        own = min(question.relevant)
        near = _sample(generator, index.top(question.text, NEIGHBOURS), 3, {own})
        chosen = [own, *near, *_sample(generator, members[question.group], 1, {own, *near})]
        chosen = _fill(generator, chosen, len(corpus.passages))
        examples.append(_example(corpus, question, chosen, np.eye(CANDIDATES)[0]))
    return examples


def taught(corpus: Corpus, count: int, seed: int) -> list[Example]:
    """`count` queries with their own passage if any, neighbours by BM25 and by the bi-encoder, and random ones."""
    generator = random.Random(seed)  # noqa: S311 - sampling, not secrecy
    encoder, index = BaseEncoder(), BM25(corpus.passages)
    questions = generator.sample(corpus.questions, count)
    vectors = encoder.encode(corpus.passages, "passages")
    queries = encoder.encode([question.text for question in questions], "queries")
    examples = []
    for question, query in zip(questions, queries, strict=True):
        cosine, matches = vectors @ query, index.scores(question.text)
        chosen = sorted(question.relevant)
        chosen += _sample(generator, best(cosine, NEIGHBOURS), 2, set(chosen))
        chosen += _sample(generator, best(matches, NEIGHBOURS), 2, set(chosen))
        chosen = _fill(generator, chosen, len(corpus.passages))
        target = _teach(cosine[chosen], matches[chosen])
        if question.relevant:
            target = (1 - OWN_SHARE) * target + OWN_SHARE * np.eye(CANDIDATES)[0]
        examples.append(_example(corpus, question, chosen, target))
    return examples


def _teach(cosine: NDArray[np.float32], matches: NDArray[np.float32]) -> NDArray[np.float64]:
    logits = COSINE_WEIGHT * cosine.astype(np.float64) + BM25_WEIGHT * matches / max(float(matches.max()), 1e-6)
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _sample(generator: random.Random, passages: list[int], count: int, taken: set[int]) -> list[int]:
    free = [passage for passage in passages if passage not in taken]
    return generator.sample(free, min(count, len(free)))


def _fill(generator: random.Random, chosen: list[int], size: int) -> list[int]:
    """`chosen` with random passages up to the number of candidates."""
    filled = list(dict.fromkeys(chosen))
    while len(filled) < CANDIDATES:
        passage = generator.randrange(size)
        if passage not in filled:
            filled.append(passage)
    return filled


def _example(corpus: Corpus, question: Question, chosen: list[int], target: Iterable[float]) -> Example:
    passages = tuple(corpus.passages[passage] for passage in chosen)
    return Example(question.text, passages, tuple(round(float(share), 5) for share in target))
