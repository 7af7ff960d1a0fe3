"""Decoders that read both ways, on packed tokens: NVIDIA's llama_bidirec rerankers, Mistral ones of the same kind, and the
language part of NVIDIA's vision-language ones, where the features of images replace embeddings.

Every token of a pair sees every other one; pooling is in fp32, and a head without bias makes the logit, divided by a temperature. Knows
the architecture and transformers' names of its weights, not where they come from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from reranker.engines.torch_packed import attention, rotary
from reranker.engines.torch_packed.attention import Attend, Bounds
from reranker.engines.torch_packed.batch import PackedBatch
from reranker.engines.torch_packed.weights import Weights


@dataclass(frozen=True)
class Architecture:
    """The bundle's entry `architecture` (scripts/export/architecture.py)."""

    layers: int
    heads: int
    key_value_heads: int
    head_size: int
    epsilon: float
    theta: float
    scaling: Mapping[str, float] | None
    pooling: str
    temperature: float


class Layer(nn.Module):
    """One layer; query, key and value come out of one product, and so do gate and up."""

    def __init__(self, weights: Weights, name: str, own: Architecture) -> None:
        super().__init__()
        self.head_size = own.head_size
        self.parts = [own.heads, own.key_value_heads, own.key_value_heads]
        self.input_norm = weights.rms_norm(f"{name}.input_layernorm", own.epsilon)
        self.query_key_value = weights.linear(*(f"{name}.self_attn.{kind}_proj" for kind in ("q", "k", "v")), bias=False)
        self.mixed = weights.linear(f"{name}.self_attn.o_proj", bias=False)
        self.inner_norm = weights.rms_norm(f"{name}.post_attention_layernorm", own.epsilon)
        self.gate_up = weights.linear(f"{name}.mlp.gate_proj", f"{name}.mlp.up_proj", bias=False)
        self.down = weights.linear(f"{name}.mlp.down_proj", bias=False)
        self.attend: Attend = attention.choose(weights.device, weights.precision, own.head_size)

    def forward(self, states: Tensor, turns: Tensor, bounds: Bounds) -> Tensor:
        """[tokens, hidden] -> the same; `turns` are the rotary table's entries of the tokens' places."""
        heads = self.query_key_value(self.input_norm(states)).unflatten(-1, (-1, self.head_size))
        query, key, value = heads.split(self.parts, dim=1)
        mixed = self.attend(rotary.turn(query, turns), rotary.turn(key, turns), value, bounds, bounds)
        states = states + self.mixed(mixed.flatten(1))
        gate, up = self.gate_up(self.inner_norm(states)).chunk(2, dim=-1)
        made: Tensor = states + self.down(silu(gate) * up)
        return made


class Bidirectional(nn.Module):
    """The decoder with its head; `positions`: the longest sequence that it can be given. `norm`: the final one, where it is another."""

    def __init__(self, own: Architecture, weights: Weights, positions: int, norm: nn.RMSNorm | None = None) -> None:
        super().__init__()
        self.own = own
        self.embeddings = weights.embedding("model.embed_tokens")
        self.layers = nn.ModuleList(Layer(weights, f"model.layers.{number}", own) for number in range(own.layers))
        self.norm = norm or weights.rms_norm("model.norm", own.epsilon)
        self.score = weights.linear("score", bias=False, precision=torch.float32)
        self.turns: Tensor = rotary.table(own.head_size, own.theta, own.scaling, positions).to(weights.device)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Raw logits, FP32 [sequences]; those of empty sequences mean nothing."""
        states, turns = self.embeddings(batch.input_ids), self.turns[batch.positions]
        if batch.images:
            states = states.index_copy(0, batch.images.places, batch.images.features)
        for layer in self.layers:
            states = layer(states, turns, batch.bounds)
        pooled = _pool(self.norm(states.to(self.norm.weight.dtype)), batch.bounds.places, self.own.pooling)
        logits: Tensor = self.score(pooled)[:, 0] / self.own.temperature
        return logits

    def repeated(self) -> list[nn.Module]:
        """The parts whose kernels are worth compiling; all layers share theirs."""
        return list(self.layers)


def _pool(states: Tensor, places: Tensor, pooling: str) -> Tensor:
    """One vector a sequence, FP32 [sequences, hidden]: the mean of its tokens, or its first or last one."""
    if pooling == "avg":
        return torch.segment_reduce(states.float(), "mean", offsets=places, axis=0, unsafe=True)
    place = places[:-1] if pooling == "cls" else places[1:] - 1
    return states[place.clamp(0, states.shape[0] - 1)].float()
