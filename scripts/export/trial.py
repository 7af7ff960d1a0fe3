"""Text pairs of every length, made of a tokenizer's own words: what the parity gate tries a bundle with. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scripts.export.prompt import TRIED

QUERIES = 8
PASSAGES = 8  # per query: 64 pairs
LONGEST_QUERY = 24  # tokens
WORDS = 400
SEED = 20

Trial = tuple[str, list[str]]


def trials(tokenizer: Any, max_seq_len: int) -> list[Trial]:
    """Queries with their passages; lengths grow geometrically from nothing to more than fits, and odd texts are among them."""
    generator = np.random.default_rng(SEED)
    words = _words(tokenizer, generator)
    longest_query = min(LONGEST_QUERY, max_seq_len // 4)
    lengths = np.geomspace(1, 1.1 * max_seq_len, QUERIES * PASSAGES)
    made = []
    for place, query_length in enumerate(np.geomspace(1, longest_query, QUERIES)):
        query = _text(generator, words, round(query_length))
        passages = [_text(generator, words, round(length)) for length in lengths[place::QUERIES]]
        passages[place % PASSAGES] = TRIED[place]
        made.append((query, passages))
    return made


def _words(tokenizer: Any, generator: np.random.Generator) -> Sequence[tuple[str, int]]:
    """Words of the vocabulary with the number of tokens that each takes within a text."""
    plain = sorted({entry.lstrip("\u2581\u0120#") for entry in tokenizer.get_vocab()})
    candidates = [word for word in plain if word.isascii() and word.isalpha()]
    drawn = [str(word) for word in generator.permutation(candidates)[:WORDS]]
    return [(word, len(tokenizer(f"x {word}", add_special_tokens=False)["input_ids"]) - 1) for word in drawn]


def _text(generator: np.random.Generator, words: Sequence[tuple[str, int]], tokens: int) -> str:
    """Words until they take about `tokens` tokens; at least one."""
    chosen: list[str] = []
    while tokens > 0 or not chosen:
        word, length = words[int(generator.integers(len(words)))]
        chosen.append(word)
        tokens -= max(length, 1)
    return " ".join(chosen)
