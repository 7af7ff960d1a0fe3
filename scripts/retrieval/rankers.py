"""Second-stage rankers: a query and its candidate passages -> scores, higher is better.

Knows how texts become scores; does not know which passages are relevant.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from facade.bundle import WEIGHTS, read_bundle
from facade.pairs import PairTokenizer
from facade.tensors import chunks
from scripts.retrieval.base_encoder import BaseEncoder

TOKENS_PER_FORWARD = 4096


class Ranker(Protocol):
    """What evaluation calls."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """One score for each passage, FP32 [passages]."""


class BundleRanker:
    """A model bundle in this process: the project's own tokenisation, onnxruntime on the CPU."""

    def __init__(self, folder: Path) -> None:
        self._bundle = read_bundle(folder)
        self._bundle.verify(WEIGHTS)
        self._tokenizer = PairTokenizer(self._bundle, self._bundle.max_seq_len)
        self._session = onnxruntime.InferenceSession(str(folder / WEIGHTS), providers=["CPUExecutionProvider"])

    @property
    def model_id(self) -> str:
        """The bundle's model id."""
        return self._bundle.model_id

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Raw logits; a pair that is too long loses the passage's end."""
        pairs = self._tokenizer.encode(query, passages, truncate=True)
        logits = np.empty(len(passages), dtype=np.float32)
        for chunk in chunks(pairs, self._bundle, TOKENS_PER_FORWARD):
            logits[chunk.indexes] = self._session.run(["logits"], chunk.inputs)[0]
        return logits


class CosineRanker:
    """The base model as a bi-encoder. A passage is embedded once however many queries it answers."""

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
