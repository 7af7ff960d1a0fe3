"""Requests without end and without a data set: texts of random words, from one to more than a model's limit. Knows no server."""

import random
from collections.abc import Iterator
from itertools import cycle

from scripts.benchmark.workload import Ask

SEED = 2026
# Batches whose sizes do not fit together: they once made a peer's memory grow without end.
PASSAGES = (16, 7, 7, 7)
# Words; 400 are more than the 512 tokens of the default model.
_LENGTHS = (1, 5, 20, 60, 150, 400)
# As many different requests as a run can compare the answers of.
_DIFFERENT = 48
_WORDS = [
    "water",
    "stone",
    "river",
    "light",
    "house",
    "mountain",
    "paper",
    "winter",
    "garden",
    "engine",
    "history",
    "market",
    "island",
    "music",
    "doctor",
    "bridge",
    "forest",
    "letter",
    "summer",
    "window",
    "number",
    "country",
    "village",
    "science",
    "morning",
    "question",
    "kitchen",
    "ocean",
    "picture",
    "machine",
    "language",
    "teacher",
    "morning",
    "metal",
    "voice",
    "energy",
]


def asks() -> Iterator[Ask]:
    """The same requests again and again, in the pattern of sizes."""
    draw = random.Random(SEED)  # noqa: S311 (no secrets)
    sizes = cycle(PASSAGES)
    different = [Ask(_text(draw, 8), tuple(_text(draw, draw.choice(_LENGTHS)) for _ in range(next(sizes)))) for _ in range(_DIFFERENT)]
    return cycle(different)


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(_WORDS, k=words))
