"""The parity gate catches every fault of the graphs, the tiles and the pairs of a vision-language reranker.

The graphs are the modules that would be drawn, computed by torch: each breakage would else be drawn for half a minute.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from facade.reranking.bundle import VISION, Bundle, read_bundle
from facade.reranking.image_block import ImageBlock
from facade.reranking.images import ImageLimits, tiles_of
from facade.reranking.images.tiles import grid_for
from scripts.export import families, parity, runtimes, served
from scripts.export.checkpoint import Checkpoint
from scripts.export.families.nemotron_vl.graphs import LanguageGraph, VisionGraph
from scripts.export.trial import Trial, image_trials
from tests.exported import Exports
from tests.vl_checkpoint import LIMIT


@dataclass(frozen=True)
class Side:
    """What a bundle's side of the gate consists of: its entries, its graphs' modules, and how it makes tiles."""

    bundle: Bundle
    vision: Any
    language: Any
    tiles: Callable[..., NDArray[np.uint8]] = field(default=tiles_of)


@dataclass(frozen=True)
class Gate:
    """A checkpoint with the side of its bundle, and what both are tried with."""

    checkpoint: Checkpoint
    side: Side
    trials: list[Trial]

    def failures(self, side: Side, patch: pytest.MonkeyPatch) -> list[str]:
        def load(graph: Path, _: str) -> tuple[runtimes.Run, set[str]]:
            module = side.vision if graph.name == VISION else side.language

            def run(inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
                names = ("tiles",) if graph.name == VISION else self.checkpoint.inputs
                with torch.inference_mode():
                    return np.asarray(module(*(torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in names)))

            return run, set(self.checkpoint.inputs)

        patch.setattr(runtimes, "load", load)
        patch.setattr(served, "tiles_of", side.tiles)
        return parity.compare(side.bundle, self.checkpoint, self.trials, "fp32").failures(parity.TOLERANCES["fp32"])


@pytest.fixture(scope="module")
def gate(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    bundle = read_bundle(exports.vl_bundle(tmp_path_factory.mktemp("vl") / "1"))
    checkpoint = families.load(exports.vl_checkpoint())
    assert checkpoint.images
    trials = image_trials(checkpoint.tokenizer, checkpoint.images.block, LIMIT)
    return Gate(checkpoint, Side(bundle, checkpoint.images.module, checkpoint.module), trials)


class FirstShuffle(VisionGraph):
    def merged(self, states: Tensor) -> Tensor:
        half = self.side // 2
        turned: Tensor = super().merged(states).unflatten(1, (half, half)).transpose(1, 2).flatten(1, 2)
        return turned


class MeanOverPadding(LanguageGraph):
    def pooled(self, states: Tensor, weights: Tensor) -> Tensor:
        return super().pooled(states, torch.ones_like(weights))


class HalfHead(nn.Linear):
    def forward(self, states: Tensor) -> Tensor:
        return nn.functional.linear(states.half(), self.weight.half()).float()


class RowsBackwards(LanguageGraph):
    def forward(self, input_ids: Tensor, attention_mask: Tensor, image_features: Tensor, image_positions: Tensor) -> Tensor:
        return super().forward(input_ids, attention_mask, image_features, image_positions.flip(0))


def vision(change: Callable[[Any], object]) -> Callable[[Side], Side]:
    def changed(side: Side) -> Side:
        module = deepcopy(side.vision)
        change(module)
        return replace(side, vision=module)

    return changed


def language(change: Callable[[Any], object]) -> Callable[[Side], Side]:
    def changed(side: Side) -> Side:
        module = deepcopy(side.language)
        change(module)
        return replace(side, language=module)

    return changed


def tiles(change: Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]]) -> Callable[[Side], Side]:
    """`change` gets the tiles and their grid."""

    def made(content: bytes, block: ImageBlock, limits: ImageLimits) -> NDArray[np.uint8]:
        with Image.open(BytesIO(content)) as image:
            return change(tiles_of(content, block, limits), grid_for(*image.size, block))

    return lambda side: replace(side, tiles=made)


def nearest(content: bytes, block: ImageBlock, limits: ImageLimits) -> NDArray[np.uint8]:
    resized = BytesIO()
    with Image.open(BytesIO(content)) as image:
        columns, rows = grid_for(*image.size, block)
        image.resize((columns * block.tile_size, rows * block.tile_size), Image.Resampling.NEAREST).save(resized, "PNG")
    return tiles_of(resized.getvalue(), block, limits)


def block(**entries: Any) -> Callable[[Side], Side]:
    def changed(side: Side) -> Side:
        assert side.bundle.image
        return replace(side, bundle=replace(side.bundle, image=replace(side.bundle.image, **entries)))

    return changed


def encoding(**entries: Any) -> Callable[[Side], Side]:
    return lambda side: replace(side, bundle=replace(side.bundle, pair_encoding=replace(side.bundle.pair_encoding, **entries)))


def of(kind: type[nn.Module]) -> Callable[[Any], object]:
    """The same weights as a module of another class."""
    return lambda module: setattr(module, "__class__", kind)


def by_column(found: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.uint8]:
    columns, rows = grid
    order = [row * columns + column for column in range(columns) for row in range(rows)]
    return found[[*order, *range(len(order), len(found))]]


def causal(module: Any) -> None:
    module.model.config.is_causal = True
    for layer in module.model.layers:
        layer.self_attn.is_causal = True


def plain_rotary(module: Any) -> None:
    config = deepcopy(module.model.config)
    config.rope_parameters = {"rope_type": "default", "rope_theta": config.rope_parameters["rope_theta"]}
    module.model.rotary_emb = LlamaRotaryEmbedding(config)


def erf_in_the_tower(module: Any) -> None:
    for layer in module.model["layers"]:
        layer.mlp.activation_fn = nn.GELU()


def with_half_head(module: Any) -> None:
    module.score.__class__ = HalfHead


BREAKAGES: dict[str, Callable[[Side], Side]] = {
    "the first form of the shuffle": vision(of(FirstShuffle)),
    "no norm after the vision tower": vision(lambda module: module.model.pop("norm")),
    "erf in the vision tower": vision(erf_in_the_tower),
    "tanh in the projector": vision(lambda module: module.model["projector"].__setitem__(2, nn.GELU("tanh"))),
    "epsilon 1e-6 in the projector": vision(lambda module: setattr(module.model["projector"][0], "eps", 1e-6)),
    "pixels not rounded to bf16": vision(lambda module: setattr(module, "values", (torch.arange(256) / 255 - 0.5) / 0.5)),
    "tiles by column": tiles(by_column),
    "the thumbnail first": tiles(lambda found, _: np.roll(found, 1, axis=0)),
    "the thumbnail black": tiles(lambda found, _: np.concatenate([found[:-1], found[-1:] * 0]) if len(found) > 1 else found),
    "no thumbnail": block(thumbnail=False),
    "fewer grids": block(grids=((1, 1), (1, 2), (2, 1))),
    "nearest instead of bicubic": lambda side: replace(side, tiles=nearest),
    "blue first": tiles(lambda found, _: found[:, ::-1]),
    "a mean over padding too": language(of(MeanOverPadding)),
    "a causal mask": language(causal),
    "the head in fp16": language(with_half_head),
    "no scaling of rotary embeddings": language(plain_rotary),
    "no temperature": language(lambda module: setattr(module, "temperature", 1.0)),
    "features in each other's places": language(of(RowsBackwards)),
    "no space after the image": block(text_prefix=""),
    "a line feed less": encoding(query_suffix=" \n "),
    "nothing before the image": block(before=()),
}


def test_what_is_as_the_reference_passes(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gate.failures(gate.side, monkeypatch) == []


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_breakage_is_caught(breakage: str, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = gate.failures(BREAKAGES[breakage](gate.side), monkeypatch)
    assert failures
    assert failures[0].startswith("query ")
