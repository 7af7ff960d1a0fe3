"""What a checkpoint of the family llama_nemotron_vl_rerank scores: composed from transformers' SigLIP and Llama as the model is described.

Shares no code with the exporter, nor with what serves: it decodes, tiles and tokenises in its own way, each pair alone and as one text.
`changes` name faults that an export or a server could have; tests show by them that each would be seen.
"""

import io
import itertools
import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import gelu
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast, SiglipVisionConfig, SiglipVisionModel

# The grids [columns, rows] for 6 tiles in the order in which CPython 3.11 goes through them.
GRIDS = [(1, 1), (1, 2), (2, 1), (3, 1), (1, 3), (4, 1), (1, 4), (2, 2), (1, 5), (5, 1), (6, 1), (2, 3), (1, 6), (3, 2)]
VISION_CHANGES = {
    "the first form of the shuffle",
    "no norm after the vision tower",
    "erf in the vision tower",
    "tanh in the projector",
    "epsilon 1e-6 in the projector",
    "pixels not rounded to bf16",
}
TILE_CHANGES = {"tiles by column", "the thumbnail first", "no thumbnail", "nearest instead of bicubic", "blue first", "the other grid"}
LANGUAGE_CHANGES = {"a mean over padding too", "a causal mask", "the head in fp16", "no scaling of rotary embeddings", "no temperature"}
PROMPT_CHANGES = {"no space after the image", "a line feed less", "the image last"}
CHANGES = VISION_CHANGES | TILE_CHANGES | LANGUAGE_CHANGES | PROMPT_CHANGES


@dataclass(frozen=True)
class Oracle:
    """The checkpoint in `folder`, computing in fp32 but for what `changes` name."""

    folder: Path
    changes: Collection[str] = ()

    def logit(self, query: str, text: str | None, image: bytes | None = None) -> float:
        """The raw logit of one pair; `image` is a file's content."""
        with torch.inference_mode():
            return self._model.logit(query, text or "", None if image is None else self._model.tiles(image))

    def tiles(self, image: bytes) -> NDArray[np.uint8]:
        """The tiles of an image's file, UINT8 [tiles, 3, size, size]."""
        return self._model.tiles(image)

    def features(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features of tiles, FP32 [tiles, tokens per tile, hidden]."""
        with torch.inference_mode():
            found: NDArray[np.float32] = self._model.features(tiles).numpy()
        return found

    @cached_property
    def _model(self) -> "_Model":
        return _Model(self.folder, frozenset(self.changes))


class _Model:
    def __init__(self, folder: Path, changes: frozenset[str]) -> None:
        if changes - CHANGES:
            raise ValueError(f"unknown changes {sorted(changes - CHANGES)}")
        self.changes = changes
        self.config = json.loads((folder / "config.json").read_text())
        self.processor = json.loads((folder / "processor_config.json").read_text())
        self.tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder)
        weights = load_file(folder / "model.safetensors")
        self.vision = _vision(self.config["vision_config"], weights, changes)
        self.language = _language(self.config["llm_config"], weights, changes)
        self.projector = _projector(weights, changes)
        self.score = weights["score.weight"]

    def tiles(self, content: bytes) -> NDArray[np.uint8]:
        image = _rgb(Image.open(io.BytesIO(content)))
        size, most = self.config["force_image_size"], self.processor["max_input_tiles"]
        columns, rows = _grid(image.width, image.height, size, most)
        if "the other grid" in self.changes:
            columns, rows = rows, columns
        how = Image.Resampling.NEAREST if "nearest instead of bicubic" in self.changes else Image.Resampling.BICUBIC
        pixels = np.asarray(image.resize((columns * size, rows * size), how))
        places = list(itertools.product(range(rows), range(columns)))
        if "tiles by column" in self.changes:
            places.sort(key=lambda place: place[1])
        tiles = [pixels[row * size : (row + 1) * size, column * size : (column + 1) * size] for row, column in places]
        if len(tiles) > 1 and self.processor["use_thumbnail"] and "no thumbnail" not in self.changes:
            thumbnail = np.asarray(image.resize((size, size), how))
            tiles = [thumbnail, *tiles] if "the thumbnail first" in self.changes else [*tiles, thumbnail]
        stacked = np.stack(tiles).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(stacked[:, ::-1] if "blue first" in self.changes else stacked)

    def features(self, tiles: NDArray[np.uint8]) -> Tensor:
        pixels = (torch.from_numpy(tiles).float() / 255 - 0.5) / 0.5
        if "pixels not rounded to bf16" not in self.changes:
            pixels = pixels.bfloat16().float()
        found = self.vision(pixel_values=pixels, output_hidden_states=True)
        select = self.config["select_layer"]
        states = found.last_hidden_state if select == -1 else found.hidden_states[select]
        if "no norm after the vision tower" in self.changes:
            states = found.hidden_states[-1]
        side = round(states.shape[1] ** 0.5)
        grid = states.reshape(len(tiles), side, side, -1)
        # Four patches of a square are one token: upper left, upper right, lower left, lower right.
        corners = [grid[:, row::2, column::2] for row, column in itertools.product(range(2), range(2))]
        merged = torch.cat(corners, dim=-1)
        if "the first form of the shuffle" in self.changes:
            merged = merged.transpose(1, 2)
        features: Tensor = self.projector(merged.flatten(1, 2))
        return features

    def ids(self, query: str, text: str, placeholders: int) -> Tensor:
        between = " \n " if "a line feed less" in self.changes else " \n \n "
        prompt = f"question:{query}{between}passage:{text}"
        if placeholders:
            image = "<img>" + "<IMG_CONTEXT>" * placeholders + "</img>"
            space = "" if "no space after the image" in self.changes else " "
            prompt = f"{prompt}{space}{image}" if "the image last" in self.changes else f"{image}{space}{prompt}"
        return torch.tensor(self.tokenizer(prompt, truncation=True)["input_ids"])

    def logit(self, query: str, text: str, tiles: NDArray[np.uint8] | None) -> float:
        features = torch.empty(0) if tiles is None else self.features(tiles).flatten(0, 1)
        ids = self.ids(query, text, len(features))
        states = self.language.embed_tokens(ids)
        if len(features):
            states = states.index_copy(0, torch.nonzero(ids == self.config["img_context_token_id"])[:, 0], features)
        mask = torch.ones(1, len(ids), dtype=torch.int64)
        if "a mean over padding too" in self.changes:
            states = torch.cat([states, self.language.embed_tokens(torch.full((3,), self.tokenizer.pad_token_id))])
            mask = torch.cat([mask, torch.zeros(1, 3, dtype=torch.int64)], dim=1)
        pooled = self.language(inputs_embeds=states[None], attention_mask=mask, use_cache=False).last_hidden_state[0].mean(dim=0)
        kind = torch.float16 if "the head in fp16" in self.changes else torch.float32
        logit = float((pooled.to(kind) @ self.score[0].to(kind)).float())
        return logit / (1.0 if "no temperature" in self.changes else self.config["temperature"])


def _rgb(image: Image.Image) -> Image.Image:
    """Upright and in RGB, with white behind what is transparent."""
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        transparent = upright.convert("RGBA")
        white = Image.new("RGBA", transparent.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, transparent).convert("RGB")
    return upright.convert("RGB")


def _grid(width: int, height: int, size: int, most: int) -> tuple[int, int]:
    """Columns and rows: the first of the grids with the highest score."""
    aspect = width / height
    known = [grid for grid in GRIDS if grid[0] * grid[1] <= most]
    scores = []
    for columns, rows in known:
        target = columns / rows
        share = min((columns * rows * size * size) / (width * height), 0.6)
        scores.append(share * min(target / aspect, aspect / target))
    return known[scores.index(max(scores))]


def _vision(config: dict[str, Any], weights: dict[str, Tensor], changes: frozenset[str]) -> Any:
    activation = "gelu" if "erf in the vision tower" in changes else config["hidden_act"]
    make: Any = SiglipVisionModel
    model = make(SiglipVisionConfig(**{**config, "hidden_act": activation, "vision_use_head": False}))
    start = "model.vision_model."
    named = {name.removeprefix(start).removeprefix("vision_model."): weight for name, weight in weights.items() if name.startswith(start)}
    model.load_state_dict({name: weight for name, weight in named.items() if not name.startswith("head.")})
    return model.eval()


def _language(config: dict[str, Any], weights: dict[str, Tensor], changes: frozenset[str]) -> Any:
    scaling = {"rope_type": "default"} if "no scaling of rotary embeddings" in changes else config["rope_scaling"]
    left_out = ("model_type", "architectures", "rope_theta", "rope_scaling", "pooling")
    own = LlamaConfig(
        **{name: value for name, value in config.items() if name not in left_out},
        rope_parameters={**scaling, "rope_theta": config["rope_theta"]},
    )
    causal = "a causal mask" in changes
    own.is_causal = causal
    make: Any = LlamaModel
    model = make(own)
    for layer in model.layers:
        layer.self_attn.is_causal = causal
    start = "model.language_model."
    model.load_state_dict({name.removeprefix(start): weight for name, weight in weights.items() if name.startswith(start)})
    return model.eval()


class _TanhGelu(nn.Module):
    def forward(self, states: Tensor) -> Tensor:
        return gelu(states, approximate="tanh")


def _projector(weights: dict[str, Tensor], changes: frozenset[str]) -> nn.Sequential:
    start = "model.mlp1."
    named = {name.removeprefix(start): weight for name, weight in weights.items() if name.startswith(start)}
    hidden, merged = named["1.weight"].shape
    epsilon = 1e-6 if "epsilon 1e-6 in the projector" in changes else 1e-5
    middle = _TanhGelu() if "tanh in the projector" in changes else nn.GELU()
    projector = nn.Sequential(nn.LayerNorm(merged, eps=epsilon), nn.Linear(merged, hidden), middle, nn.Linear(hidden, hidden))
    projector.load_state_dict(named)
    return projector.eval()
