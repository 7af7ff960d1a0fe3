"""The two graphs of a llama_nemotron_vl_rerank: tiles to features, and tokens with features to a logit. Knows no files and no tokenizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SIDE = 2  # patches of a side of the square that becomes a token


class VisionGraph(nn.Module):
    """Tiles to features: SigLIP, the shuffle of 2 x 2 patches into a token, the projector."""

    def __init__(self, tower: Any, projector: nn.Module, select_layer: int) -> None:
        """`select_layer`: of the tower's hidden states, of which the first is the embeddings; -1: the last one after the final norm."""
        super().__init__()
        layers = list(tower.encoder.layers)
        applied = select_layer if select_layer >= 0 else len(layers) + 1 + select_layer
        self.model: Any = nn.ModuleDict({"embeddings": tower.embeddings, "layers": nn.ModuleList(layers[:applied]), "projector": projector})
        if select_layer == -1:
            self.model["norm"] = tower.post_layernorm
        self.side = tower.config.image_size // tower.config.patch_size
        # A byte's number for the model. A table, since runtimes may leave out a rounding to bf16 and back.
        values = ((torch.arange(256, dtype=torch.float32) / 255 - 0.5) / 0.5).to(torch.bfloat16).float()
        self.register_buffer("values", values, persistent=False)

    def forward(self, tiles: Tensor) -> Tensor:
        """Features, FP32 [tiles, tokens, hidden], of UINT8 [tiles, 3, size, size]."""
        states = self.model["embeddings"](self.get_buffer("values")[tiles.to(torch.int64)])
        for layer in self.model["layers"]:
            states = layer(states, None)
        if "norm" in self.model:
            states = self.model["norm"](states)
        features: Tensor = self.model["projector"](self.merged(states)).float()
        return features

    def merged(self, states: Tensor) -> Tensor:
        """[tiles, patches, width] -> [tiles, patches / 4, 4 * width]: a square's patches row by row, the squares likewise."""
        half, width = self.side // SIDE, states.shape[-1]
        squares = states.reshape(-1, half, SIDE, half, SIDE, width).permute(0, 1, 3, 2, 4, 5)
        return squares.reshape(-1, half * half, SIDE * SIDE * width)


class LanguageGraph(nn.Module):
    """Tokens and features to a logit. The final norm, the mean and the head are fp32 in every precision."""

    def __init__(self, model: Any, score: nn.Linear, temperature: float) -> None:
        """`model`: the decoder, from which its final norm is taken."""
        super().__init__()
        self.norm, model.norm = model.norm, nn.Identity()
        self.model = model
        self.score = score
        self.temperature = temperature

    def forward(self, input_ids: Tensor, attention_mask: Tensor, image_features: Tensor, image_positions: Tensor) -> Tensor:
        """Raw logits, FP32 [batch]. FP32 [features, hidden] replace the embeddings at INT64 [features] places in [batch * sequence]."""
        words = self.model.embed_tokens(input_ids)
        width = words.shape[-1]
        states = words.reshape(-1, width).index_copy(0, image_positions, image_features.to(words.dtype)).reshape(words.shape)
        # Positions from 0 on whatever side the padding is; only their differences matter to rotary embeddings.
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        output = self.model(inputs_embeds=states, attention_mask=attention_mask, position_ids=positions, use_cache=False)
        pooled = self.pooled(self.norm(output.last_hidden_state.float()), attention_mask.unsqueeze(-1).float())
        logits: Tensor = self.score(pooled)[:, 0] / self.temperature
        return logits

    def pooled(self, states: Tensor, weights: Tensor) -> Tensor:
        """The mean of FP32 [batch, sequence, hidden] over the tokens, whose FP32 [batch, sequence, 1] is 1."""
        return (states * weights).sum(dim=1) / weights.sum(dim=1)
