"""reranker.json: what a bundle says of itself, and the digest that seals it.

Knows the format, not how a model is loaded or exported.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from facade.reranking.bundle import FORMAT, PairEncoding, manifest_digest
from facade.reranking.image_block import ImageBlock


@dataclass(frozen=True)
class Parity:
    """How far the bundle's logits lie from the reference's, over `pairs` pairs of up to `longest` tokens.

    `rank_agreement`: of all pairs of passages of one query, the share in the reference's order; `top_flips`: queries whose best passage is
    another one.
    """

    pairs: int
    longest: int
    max_abs_difference: float
    mean_abs_difference: float
    rank_agreement: float
    top_flips: int
    reference: str


@dataclass(frozen=True)
class Source:
    """Where the weights come from: a hub id with the commit they were taken at, or a folder's name without one."""

    model: str
    revision: str | None


@dataclass(frozen=True)
class Licence:
    """The licence of the weights, with the attributions that it asks for."""

    name: str
    text: str


@dataclass(frozen=True)
class Manifest:
    """Everything in reranker.json but the digest, in the order in which it is written; what is None is left out.

    `activation`: the function that sentence-transformers applies to the logits, for clients that want its scores; the logits are raw.
    """

    model_id: str
    version: str
    family: str
    modalities: tuple[str, ...]
    pair_encoding: PairEncoding
    max_seq_len: int
    vocabulary_size: int
    pad_id: int
    precision: str
    licence: Licence
    created: str
    parity: Parity
    source: Source
    files: dict[str, str]
    int8_parity: Parity | None = None
    architecture: dict[str, Any] | None = None
    image: ImageBlock | None = None
    activation: str | None = None

    def to_json(self) -> str:
        """The text of reranker.json, the digest included."""
        content = {"format": FORMAT, **{name: entry for name, entry in asdict(self).items() if entry is not None}}
        return json.dumps({**content, "digest": manifest_digest(content)}, indent=2, ensure_ascii=False) + "\n"
