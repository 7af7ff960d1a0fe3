"""Second-stage rankers: a query and its candidate passages -> scores, higher is better.

Knows how texts become scores; does not know which passages are relevant.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import numpy as np
import openvino
import torch
from numpy.typing import NDArray

from facade.bundle import WEIGHTS, read_bundle
from facade.pairs import PairTokenizer
from facade.tensors import chunks
from scripts.bert.forward import logits
from scripts.bert.rebuilt import rebuild
from scripts.retrieval.base_encoder import BaseEncoder

TOKENS_PER_FORWARD = 1024  # as the server's default: larger ones lose the processor's caches


class Ranker(Protocol):
    """What evaluation calls."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """One score for each passage, FP32 [passages]."""


class BundleRanker:
    """A model bundle in this process, tokenised by the project's own code.

    As "graph", OpenVINO computes what the bundle's graph says, as the server does by default. As "bf16" it lowers an fp32 graph, nearly
    twice as fast on processors that have it; where there is a GPU, torch runs the weights there. `name` tells the model and the arithmetic.
    """

    def __init__(self, folder: Path, arithmetic: str) -> None:
        self._bundle = read_bundle(folder)
        self._bundle.verify(WEIGHTS)
        self._tokenizer = PairTokenizer(self._bundle, self._bundle.max_seq_len)
        self._run = _torch(folder) if arithmetic == "bf16" and torch.cuda.is_available() else _openvino(folder, arithmetic)
        self.name = f"{self._bundle.model_id}, {self._bundle.manifest['precision'] if arithmetic == 'graph' else arithmetic}"

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Raw logits; a pair that is too long loses the passage's end."""
        pairs = self._tokenizer.encode(query, passages, truncate=True)
        found = np.empty(len(passages), dtype=np.float32)
        for chunk in chunks(pairs, TOKENS_PER_FORWARD):
            found[chunk.indexes] = self._run(chunk.inputs)
        return found


def _openvino(folder: Path, arithmetic: str) -> Any:
    hint = {"graph": openvino.Type.f32, "bf16": openvino.Type.bf16}[arithmetic]
    compiled = openvino.Core().compile_model(
        str(folder / WEIGHTS), "CPU", {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
    )
    return lambda inputs: compiled(inputs)[0]


def _torch(folder: Path) -> Any:
    model: Any = rebuild(folder)
    model.to("cuda")

    def run(inputs: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        names = ("input_ids", "attention_mask", "token_type_ids")
        tensors = [torch.from_numpy(inputs[name]).to("cuda") for name in names]
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
            scores: NDArray[np.float32] = logits(model, *tensors).float().cpu().numpy()
        return scores

    return run


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


class RandomRanker:
    """The negative control: an order that has nothing to do with the texts. What it reaches, the measures give away for free."""

    def scores(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Noise, the same for the same query."""
        return np.random.default_rng(crc32(query.encode())).random(len(passages), dtype=np.float32)
