"""Text pairs that a graph is tried with: of every length, made of a tokenizer's own words, or out of a user's file.

The parity gate compares scores on them, the quantiser measures activations on them. Knows texts and token rows, neither graphs nor models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facade.reranking.bundle import Bundle
from facade.reranking.chunks import chunks
from facade.reranking.pairs import PairTokenizer
from facade.reranking.tensors import Tokens
from scripts.export.checkpoint import ExportError
from scripts.export.prompt import TRIED

QUERIES = 8
PASSAGES = 8  # per query: 64 pairs
LONGEST_QUERY = 24  # tokens
WORDS = 400
SEED = 20
BATCH_TOKENS = 2048
LONGEST_BATCHED = 512  # tokens; ranges of activations hardly widen with length, time does

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


def read(path: Path) -> list[Trial]:
    """The pairs of a file of JSON lines, each {"query": …, "passages": […]}. Raises ExportError for any other line."""
    trials: list[Trial] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            query, passages = entry["query"], entry["passages"]
        except (ValueError, KeyError, TypeError):
            query, passages = None, None
        if not isinstance(query, str) or not isinstance(passages, list) or not all(isinstance(passage, str) for passage in passages):
            raise ExportError(f'{path}, line {number}: expected {{"query": "…", "passages": ["…", …]}}')
        trials.append((query, passages))
    if not trials:
        raise ExportError(f"{path} is empty: a few dozen queries with their passages are enough")
    return trials


def batches(bundle: Bundle, trials: Sequence[Trial]) -> Iterator[dict[str, Tokens]]:
    """The pairs as the graph's inputs, as the server batches them."""
    tokenizer = PairTokenizer(bundle, min(bundle.max_seq_len, LONGEST_BATCHED))
    for query, passages in trials:
        for chunk in chunks(tokenizer.encode(query, passages, truncate=True), BATCH_TOKENS):
            yield chunk.inputs
