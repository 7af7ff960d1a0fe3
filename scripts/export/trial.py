"""Pairs that a graph is tried with: texts of every length, made of a tokenizer's own words, or out of a user's file; images of every grid.

The parity gate compares scores on them, the quantiser measures activations on them. Knows texts and images, neither graphs nor models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facade.reranking.image_block import ImageBlock
from scripts.export.checkpoint import ExportError
from scripts.export.prompt import TRIED

QUERIES = 8
PASSAGES = 8  # per query: 64 pairs
LONGEST_QUERY = 24  # tokens
WORDS = 400
SEED = 20
BATCH_TOKENS = 2048
ENLARGED = 0.9  # size of an image by that of its grid: large enough for as many tiles, and resized
COARSE = 8  # pixels of a side of its coarse noise
LONGEST_BATCHED = 512  # tokens; ranges of activations hardly widen with length, time does


@dataclass(frozen=True)
class Trial:
    """A query with its passages. `images`: the file of each passage's image or None, or nothing at all."""

    query: str
    passages: list[str]
    images: tuple[bytes | None, ...] = ()


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
        made.append(Trial(query, passages))
    return made


def image_trials(tokenizer: Any, block: ImageBlock, longest: int) -> list[Trial]:
    """Two queries with images of every number of tiles that `longest` tokens have room for, the smallest always among them.

    The first has images alone, the second the same with texts of any length, up to more than fits. Texts without an image are among both.
    """
    generator = np.random.default_rng(SEED)
    words = _words(tokenizer, generator)
    # Of the grids with as many tiles, the squarest has tiles beside and below each other.
    squarest = {columns * rows: (columns, rows) for columns, rows in sorted(block.grids, key=max, reverse=True)}
    known = [tiles for tiles in sorted(squarest) if tiles == 1 or block.tokens(tiles + block.thumbnail) + LONGEST_QUERY < longest]
    images = [_image(generator, squarest[tiles], block.tile_size) for tiles in known]
    rooms = [max(1.1 * longest - block.tokens(tiles + block.thumbnail), 2) for tiles in known]
    texts = [_text(generator, words, round(room * share)) for room, share in zip(rooms, np.geomspace(0.02, 1, len(rooms)), strict=True)]
    query, other = (_text(generator, words, tokens) for tokens in (2, LONGEST_QUERY // 2))
    nothing = [""] * len(images)
    return [
        Trial(query, [*nothing, *TRIED[:2]], (*images, None, None)),
        Trial(other, [*texts, *TRIED[2:4]], (*images, None, None)),
    ]


def _image(generator: np.random.Generator, grid: tuple[int, int], tile_size: int) -> bytes:
    """A PNG that is cut into that grid: coarse and fine noise, so that each tile and each way to resize it is another one."""
    width, height = (int(ENLARGED * tiles * tile_size) for tiles in grid)
    coarse = generator.integers(0, 256, (height // COARSE + 2, width // COARSE + 2, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), np.int16)
    noisy = (smooth + generator.integers(-32, 33, smooth.shape)).clip(0, 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(noisy).save(file, "PNG")
    return file.getvalue()


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
        trials.append(Trial(query, passages))
    if not trials:
        raise ExportError(f"{path} is empty: a few dozen queries with their passages are enough")
    return trials
