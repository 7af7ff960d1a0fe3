"""Second-stage rankers: a query and its candidate passages -> scores, higher is better. Does not know which passages are relevant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from facade.config.settings import Settings
from facade.reranking.bundle import read_bundle
from facade.reranking.pairs import PairTokenizer
from scripts.retrieval.base_encoder import BaseEncoder
from scripts.serving.in_process import load, logits, rows_of


class Ranker(Protocol):
    """A ranker, as the evaluation calls it."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """One score for each passage, FP32 [passages]."""


class BundleRanker:
    """A model bundle in this process, tokenised and scored by the served code. `name` has the model, engine and precision."""

    def __init__(self, folder: Path, precision: str) -> None:
        bundle = read_bundle(folder)
        bundle.verify(*bundle.manifest["files"])
        self._tokenizer = PairTokenizer(bundle, bundle.max_seq_len)
        engine, self._scheduler = load(bundle, Settings(precision=precision))
        self.name = f"{bundle.model_id}, {engine.name} {engine.precision}"

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Raw logits; the passage of a pair over the limit is cut."""
        return logits(self._scheduler, rows_of(self._tokenizer.encode(query, passages, truncate=True)))


class CosineRanker:
    """The base model as a bi-encoder. Each distinct passage is embedded once."""

    def __init__(self) -> None:
        self._encoder = BaseEncoder()
        self._known: dict[str, NDArray[np.float32]] = {}

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Cosine similarities, -1 to 1."""
        unknown = [passage for passage in dict.fromkeys(passages) if passage not in self._known]
        vectors = self._encoder.encode([query, *unknown])
        self._known.update(zip(unknown, vectors[1:], strict=True))
        similarities: NDArray[np.float32] = np.stack([self._known[passage] for passage in passages]) @ vectors[0]
        return similarities


class RandomRanker:
    """The negative control, an order independent of the texts: the floor of every measure."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Noise, equal for equal queries."""
        return np.random.default_rng(crc32(query.encode())).random(len(passages), dtype=np.float32)
