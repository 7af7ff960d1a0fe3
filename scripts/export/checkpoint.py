"""What a family of models hands to the export: the graph's module, how pairs are put together, and the reference's own way of both.

Knows no family, no graph and no files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from facade.reranking.bundle import PairEncoding


class ExportError(Exception):
    """The export has stopped and has changed nothing; the message says why and what to do."""


@dataclass(frozen=True)
class Encoded:
    """One pair as the reference tokenises it, already cut to the limit: token ids and segments."""

    ids: list[int]
    segments: list[int]


@dataclass(frozen=True)
class Checkpoint:
    """A loaded reranker.

    `module` is what becomes the graph: INT64 [batch, sequence] tensors by position, in the order of `inputs`, to FP32 [batch] raw logits,
    padding on any side. `encode` and `reference` are transformers' own tokenisation and forward pass; the parity gate holds the bundle to
    them, so they share no code with it. `architecture`: see scripts/export/architecture.py.
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
