"""What NVIDIA's vision-language rerankers see in tiles: SigLIP, squares of 2 x 2 patches as tokens, and a projector to the decoder's width.

Knows the architecture and the names of its weights in an exported graph, neither images nor rows.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu, scaled_dot_product_attention

from reranker.engines.torch_packed.weights import Weights

SIDE = 2  # patches of a side of the square that becomes a token
PROJECTOR_EPSILON = 1e-5
# Names under which a graph has the position embeddings: an exporter may have looked them up already.
POSITIONS = ("model.embeddings.position_embedding.weight", "model.embeddings.bias")


@dataclass(frozen=True)
class Architecture:
    """The entry `vision` of the bundle's `architecture`. `norm`: whether there is one after the last layer; `patch`: pixels of a side."""

    layers: int
    heads: int
    epsilon: float
    norm: bool
    patch: int


class Layer(nn.Module):
    """One layer; query, key and value come out of one product."""

    def __init__(self, weights: Weights, name: str, own: Architecture) -> None:
        super().__init__()
        self.heads = own.heads
        self.input_norm = weights.layer_norm(f"{name}.layer_norm1", own.epsilon)
        self.query_key_value = weights.linear(*(f"{name}.self_attn.{kind}_proj" for kind in ("q", "k", "v")))
        self.mixed = weights.linear(f"{name}.self_attn.out_proj")
        self.inner_norm = weights.layer_norm(f"{name}.layer_norm2", own.epsilon)
        self.up = weights.linear(f"{name}.mlp.fc1")
        self.down = weights.linear(f"{name}.mlp.fc2")

    def forward(self, states: Tensor) -> Tensor:
        """[tiles, patches, width] -> the same; each patch sees all of its tile."""
        heads = self.query_key_value(self.input_norm(states)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        states = states + self.mixed(scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        made: Tensor = states + self.down(gelu(self.up(self.inner_norm(states)), approximate="tanh"))
        return made


class Siglip(nn.Module):
    """The vision model with its projector."""

    values: Tensor

    def __init__(self, own: Architecture, weights: Weights) -> None:
        super().__init__()
        self.own = own
        self.patches = weights.take("model.embeddings.patch_embedding.weight")
        self.patch_bias = weights.take("model.embeddings.patch_embedding.bias")
        self.positions = weights.take(next((name for name in POSITIONS if name in weights.stored), POSITIONS[0]))
        self.layers = nn.ModuleList(Layer(weights, f"model.layers.{number}", own) for number in range(own.layers))
        self.norm = weights.layer_norm("model.norm", own.epsilon) if own.norm else nn.Identity()
        self.projector_norm = weights.layer_norm("model.projector.0", PROJECTOR_EPSILON)
        self.into, self.out = weights.linear("model.projector.1"), weights.linear("model.projector.3")
        # The numbers of the model's inputs are rounded to bf16 in every precision.
        values = ((torch.arange(256, dtype=torch.float32) / 255 - 0.5) / 0.5).to(torch.bfloat16)
        self.register_buffer("values", values.to(weights.device, weights.precision), persistent=False)

    @property
    def width(self) -> int:
        """Numbers of a feature."""
        return self.out.out_features

    def forward(self, tiles: Tensor) -> Tensor:
        """Features [tiles, tokens of a tile, hidden] of UINT8 [tiles, 3, size, size]."""
        patches = conv2d(self.values[tiles.int()], self.patches, self.patch_bias, stride=self.own.patch)
        half = patches.shape[-1] // SIDE
        states = patches.flatten(2).transpose(1, 2) + self.positions
        for layer in self.layers:
            states = layer(states)
        squares = self.norm(states).unflatten(1, (half, SIDE, half, SIDE)).transpose(2, 3).flatten(1, 2).flatten(2)
        features: Tensor = self.out(gelu(self.into(self.projector_norm(squares))))
        return features
