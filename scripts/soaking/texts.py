"""Endless requests without a data set: texts of random words, from one word to more than a model's limit. Does not know servers."""

import random
from collections.abc import Iterator
from itertools import cycle

from scripts.benchmark.workload import Request

SEED = 2026
# Passages per request: sizes with which a peer's memory once grew without bound.
PASSAGES = (16, 7, 7, 7)
# Words per passage; 400 exceed the 512 tokens of the default model.
_LENGTHS = (1, 5, 20, 60, 150, 400)
# Distinct requests, whose answers are compared.
_DIFFERENT = 48
_WORD_LIST = """
    water stone river light house mountain paper winter garden engine history market island music doctor bridge forest
    letter summer window number country village science morning question kitchen ocean picture machine language teacher
    morning metal voice energy
"""
_WORDS = _WORD_LIST.split()


def requests() -> Iterator[Request]:
    """A cycle of distinct requests in the pattern of sizes."""
    draw = random.Random(SEED)  # noqa: S311 (no secrets)
    sizes = cycle(PASSAGES)
    different = [Request(_text(draw, 8), tuple(_text(draw, draw.choice(_LENGTHS)) for _ in range(next(sizes)))) for _ in range(_DIFFERENT)]
    return cycle(different)


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(_WORDS, k=words))
