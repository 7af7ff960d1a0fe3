"""What a family of models hands to the export: the graph's module, how pairs are put together, and the reference's own way of both.

Knows no family, no graph and no files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from facade.reranking.bundle import PairEncoding
from facade.reranking.image_block import ImageBlock


class ExportError(Exception):
    """The export has stopped and has changed nothing; the message says why and what to do."""


@dataclass(frozen=True)
class Encoded:
    """One pair as the reference tokenises it, already cut to the limit: token ids and segments, and the file of the passage's image."""

    ids: list[int]
    segments: list[int]
    image: bytes | None = None


@dataclass(frozen=True)
class Images:
    """How a reranker takes images.

    `module` becomes the graph of them: UINT8 [tiles, 3, size, size] to FP32 [tiles, tokens, width], one feature for each placeholder.
    `encode`: the reference's own tokenisation of query, passage and an image's file.
    """

    module: nn.Module
    block: ImageBlock
    width: int
    encode: Callable[[str, str, bytes], Encoded]


@dataclass(frozen=True)
class Checkpoint:
    """A loaded reranker.

    `module` is what becomes the graph: INT64 [batch, sequence] tensors by position, in the order of `inputs`, to FP32 [batch] raw logits,
    padding on any side. Where the reranker takes images, which `images` says, FP32 [features, width] and INT64 [features] are among them:
    see facade/reranking/tensors.py. `encode` and `reference` are transformers' own tokenisation and forward pass; the parity gate holds the
    bundle to them, so they share no code with it. `architecture`: see scripts/export/architecture.py.
    `activation`: what sentence-transformers applies to the logits (declared.py); nothing here does.
    """

    family: str
    module: nn.Module
    inputs: tuple[str, ...]
    tokenizer: Any
    pair_encoding: PairEncoding
    max_seq_len: int
    vocabulary_size: int
    pad_id: int
    encode: Callable[[str, str], Encoded]
    reference: Callable[[Encoded], float]
    architecture: dict[str, Any] | None = None
    images: Images | None = None
    activation: str | None = None
