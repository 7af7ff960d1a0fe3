"""Pages through the packed engine: a vision-language model of random weights, with its features computed anew and out of a cache.

Knows the dimensions of models and how pages are batched, not how times become figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facade.reranking.batching import plan
from facade.reranking.tensors import IMAGE_FEATURES, Row
from reranker.engines.engine import Features, Tiles
from reranker.engines.torch_packed.engine import PackedEngine, Running
from reranker.engines.torch_packed.families import FAMILIES
from reranker.engines.torch_packed.vision import PackedVision
from reranker.engines.torch_packed.weights import Weights

FAMILY = "llama_nemotron_vl_rerank"
TILES = 7  # of a page: a grid of 2 x 3, and the thumbnail
TEXT_TOKENS = 40  # of the prompt and a question
PLACEHOLDER, FILLER = 1, 0
SPREAD = 0.02  # standard deviation of the weights
MERGED = 4  # patches of a token


@dataclass(frozen=True)
class Dimensions:
    """Of a vision-language model; `size` and `patch` are pixels of a side."""

    size: int
    patch: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    vision_inner: int
    width: int
    layers: int
    heads: int
    key_heads: int
    inner: int
    vocabulary: int

    @property
    def patches(self) -> int:
        """Of a tile."""
        return (self.size // self.patch) ** 2

    @property
    def row_tokens(self) -> int:
        """Of a page and a question."""
        return TILES * self.patches // MERGED + TEXT_TOKENS

    @property
    def architecture(self) -> dict[str, Any]:
        """The manifest's entry (scripts/export/architecture.py)."""
        head = self.width // self.heads
        language: dict[str, Any] = {
            "layers": self.layers,
            "heads": self.heads,
            "key_value_heads": self.key_heads,
            "head_size": head,
            "epsilon": 1e-5,
        }
        language |= {"theta": 500_000.0, "scaling": None, "pooling": "avg", "temperature": 1.0}
        vision = {"layers": self.vision_layers, "heads": self.vision_heads, "epsilon": 1e-6, "norm": True, "patch": self.patch}
        return {"language": language, "vision": vision}

    def vision_shapes(self) -> dict[str, tuple[int, ...]]:
        """Weights of the vision part, by name."""
        wide, inner, merged = self.vision_width, self.vision_inner, MERGED * self.vision_width
        shapes: dict[str, tuple[int, ...]] = {
            "model.embeddings.patch_embedding.weight": (wide, 3, self.patch, self.patch),
            "model.embeddings.position_embedding.weight": (self.patches, wide),
            "model.projector.1.weight": (self.width, merged),
            "model.projector.3.weight": (self.width, self.width),
            "model.norm.weight": (wide,),
            "model.projector.0.weight": (merged,),
        }
        for number in range(self.vision_layers):
            layer = f"model.layers.{number}"
            shapes |= {f"{layer}.self_attn.{name}.weight": (wide, wide) for name in ("q_proj", "k_proj", "v_proj", "out_proj")}
            shapes |= {f"{layer}.mlp.fc1.weight": (inner, wide), f"{layer}.mlp.fc2.weight": (wide, inner)}
            shapes |= {f"{layer}.layer_norm{place}.weight": (wide,) for place in (1, 2)}
        biases = {name.replace(".weight", ".bias"): shape[:1] for name, shape in shapes.items() if "position" not in name}
        return shapes | biases

    def language_shapes(self) -> dict[str, tuple[int, ...]]:
        """Weights of the language part, by name."""
        keys = self.width // self.heads * self.key_heads
        shapes: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.vocabulary, self.width),
            "norm.weight": (self.width,),
            "score.weight": (1, self.width),
        }
        for number in range(self.layers):
            layer = f"model.layers.{number}"
            shapes |= {f"{layer}.self_attn.{name}_proj.weight": (self.width, self.width) for name in ("q", "o")}
            shapes |= {f"{layer}.self_attn.{name}_proj.weight": (keys, self.width) for name in ("k", "v")}
            shapes |= {f"{layer}.mlp.{name}_proj.weight": (self.inner, self.width) for name in ("gate", "up")}
            shapes |= {f"{layer}.mlp.down_proj.weight": (self.width, self.inner)}
            shapes |= {f"{layer}.{name}_layernorm.weight": (self.width,) for name in ("input", "post_attention")}
        return shapes

    def vision_operations(self) -> float:
        """Floating-point operations of a page's tiles: products, attention included."""
        sizes = {name: prod(shape) for name, shape in self.vision_shapes().items() if len(shape) > 1 and "position" not in name}
        projector = sum(size for name, size in sizes.items() if "projector" in name)
        products = 2 * (sum(sizes.values()) - projector) * self.patches + 2 * projector * self.patches // MERGED
        return float(TILES * (products + self.vision_layers * 4 * self.vision_width * self.patches**2))

    def language_operations(self) -> float:
        """Of a page's row."""
        weights = sum(prod(shape) for name, shape in self.language_shapes().items() if len(shape) > 1 and ".layers." in name)
        return float(2 * weights * self.row_tokens + self.layers * 4 * self.width * self.row_tokens**2)


# nvidia/llama-nemotron-rerank-vl-1b-v2: SigLIP2-so400m and Llama-3.2-1B.
PAGES = {
    "vl": Dimensions(512, 16, 1152, 27, 16, 4304, 2048, 16, 32, 8, 8192, 128_267),
    "vl-tiny": Dimensions(64, 16, 32, 2, 2, 64, 64, 2, 4, 2, 128, 500),
}


class RandomWeights(Mapping[str, Tensor]):
    """Weights made when they are taken, on the device: ones for norms, else small numbers."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], device: torch.device) -> None:
        self._shapes = shapes
        self._device = device

    def __getitem__(self, name: str) -> Tensor:
        shape = self._shapes[name]
        if len(shape) == 1 and name.endswith("weight"):
            return torch.ones(shape, device=self._device)
        return torch.randn(shape, device=self._device) * SPREAD

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


def engine_of(own: Dimensions, running: Running) -> PackedEngine:
    """The packed engine with a model of these dimensions."""
    family = FAMILIES[FAMILY]
    if family.see is None:
        raise ValueError(f"{FAMILY} sees nothing")
    torch.manual_seed(7)
    language = Weights(RandomWeights(own.language_shapes(), running.device), running.device, running.type)
    seeing = family.see(own.architecture, Weights(RandomWeights(own.vision_shapes(), running.device), running.device, running.type))
    vision = PackedVision(seeing, running.device, running.type, own.width, PLACEHOLDER)
    positions = 2 * own.row_tokens
    return PackedEngine(family.build(own.architecture, language, positions), running, positions, FILLER, vision)


def runs(own: Dimensions, engine: PackedEngine, pages: int, batch_tokens: int) -> dict[str, Callable[[], object]]:
    """What is measured: `pages` different pages, with one question each, whose features are computed, or come from a cache."""
    random = np.random.default_rng(7)
    tiles = random.integers(0, 256, (pages * TILES, 3, own.size, own.size), np.uint8)
    ids = np.full(own.row_tokens, PLACEHOLDER, np.int64)
    ids[-TEXT_TOKENS:] = random.integers(2, own.vocabulary, TEXT_TOKENS)
    row = Row(ids, np.zeros_like(ids))
    cached = _rows(row, _features(engine, tiles))
    batches = plan([own.row_tokens] * pages, batch_tokens)

    def score(rows: Sequence[Row]) -> object:
        return [engine.infer([rows[place] for place in batch]) for batch in batches]

    return {"cache off": lambda: score(_rows(row, _features(engine, tiles))), "cache on": lambda: score(cached)}


def _features(engine: PackedEngine, tiles: Tiles) -> list[Features]:
    """Of each page, [tokens, hidden]; passes as the server has them."""
    if engine.vision is None:
        raise ValueError("the engine sees nothing")
    budget = engine.vision.tile_budget
    made = np.concatenate([engine.vision.features(tiles[start : start + budget]) for start in range(0, len(tiles), budget)])
    return list(made.reshape(len(tiles) // TILES, -1, made.shape[-1]))


def _rows(row: Row, features: Sequence[Features]) -> list[Row]:
    return [replace(row, extra={IMAGE_FEATURES: own}) for own in features]
