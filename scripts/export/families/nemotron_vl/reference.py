"""What a llama_nemotron_vl_rerank scores, in torch with transformers' modules: the parity gate holds a bundle to it.

Shares the loaded weights with the graphs, and no code: it decodes, tiles and tokenises in its own way, and scores each pair alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from scripts.export.checkpoint import Encoded
from scripts.export.families.nemotron_vl.image_tokens import PLACEHOLDER, prompt_text
from scripts.export.families.nemotron_vl.settings import Settings

LARGEST_SHARE = 0.6  # of the image's area, above which a grid is no better for having more pixels


@dataclass(frozen=True, eq=False)
class Reference:
    """The loaded checkpoint. `model`: SigLIP, projector, and Llama without its final norm, which is `norm`. `longest`: tokens of a pair."""

    model: Any
    norm: nn.Module
    score: nn.Linear
    tokenizer: Any
    settings: Settings
    longest: int
    _known: dict[bytes, Tensor] = field(default_factory=dict)  # features by the image's file

    def encode(self, query: str, passage: str, image: bytes | None = None) -> Encoded:
        """A pair as one text. Its end is cut where it is too long."""
        tiles = 0 if image is None else len(self._tiles(image))
        text = prompt_text(query, passage, tiles * self.settings.tokens_per_tile)
        ids = self.tokenizer(text, truncation=True, max_length=self.longest)["input_ids"]
        return Encoded(ids, [0] * len(ids), image)

    def logit(self, pair: Encoded) -> float:
        """The raw logit."""
        with torch.inference_mode():
            states = self.model.language_model.embed_tokens(torch.tensor(pair.ids))
            if pair.image is not None:
                states[self._places(pair.ids)] = self._features(pair.image)
            found = self.model.language_model(inputs_embeds=states[None], use_cache=False).last_hidden_state[0]
            return float(self.score(self.norm(found).mean(dim=0))) / self.settings.temperature

    def _places(self, ids: list[int]) -> Tensor:
        placeholder = self.tokenizer.convert_tokens_to_ids(PLACEHOLDER)
        return torch.tensor([place for place, token in enumerate(ids) if token == placeholder])

    def _features(self, image: bytes) -> Tensor:
        """The features of an image, FP32 [tokens, hidden], computed tile by tile and once."""
        if image not in self._known:
            self._known[image] = torch.cat([self._seen(tile) for tile in self._tiles(image)])
        return self._known[image]

    def _seen(self, tile: Image.Image) -> Tensor:
        pixels = torch.from_numpy(np.array(tile.convert("RGB"))).permute(2, 0, 1)[None].float()
        normalised = ((pixels / 255 - 0.5) / 0.5).to(torch.bfloat16).float()
        found = self.model.vision_model(pixel_values=normalised, output_hidden_states=True)
        select = self.settings.select_layer
        states = found.last_hidden_state if select == -1 else found.hidden_states[select]
        side = self.settings.patches
        grid = states[0].view(side, side, -1)
        tokens = [grid[row : row + 2, column : column + 2].flatten() for row in range(0, side, 2) for column in range(0, side, 2)]
        features: Tensor = self.model.mlp1(torch.stack(tokens))
        return features

    def _tiles(self, content: bytes) -> list[Image.Image]:
        """The tiles of an RGB image's file, the thumbnail last."""
        image = ImageOps.exif_transpose(Image.open(BytesIO(content))).convert("RGB")
        size = self.settings.tile_size
        columns, rows = self._grid(image.width, image.height)
        whole = image.resize((columns * size, rows * size))
        corners = [(column * size, row * size) for row in range(rows) for column in range(columns)]
        tiles = [whole.crop((left, top, left + size, top + size)) for left, top in corners]
        return [*tiles, image.resize((size, size))] if self.settings.thumbnail and len(tiles) > 1 else tiles

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        best, chosen = -1.0, (1, 1)
        for columns, rows in self.settings.grids:
            target, aspect = columns / rows, width / height
            share = columns * rows * self.settings.tile_size * self.settings.tile_size / (width * height)
            score = min(share, LARGEST_SHARE) * min(target / aspect, aspect / target)
            if score > best:
                best, chosen = score, (columns, rows)
        return chosen
