"""BERT with a pooler and one label, on packed tokens. The last layer computes the first token of each sequence alone: all that is read.

Knows the architecture and transformers' names of its weights, not where they come from. The head is in fp32 whatever the layers are in.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from reranker.engines.torch_packed import attention
from reranker.engines.torch_packed.attention import Attend, Bounds
from reranker.engines.torch_packed.batch import PackedBatch
from reranker.engines.torch_packed.weights import Weights


@dataclass(frozen=True)
class Architecture:
    """The bundle's entry `architecture` (scripts/export/architecture.py)."""

    layers: int
    heads: int
    epsilon: float


class Embeddings(nn.Module):
    """Words, places and segments, summed and normed."""

    def __init__(self, weights: Weights, epsilon: float) -> None:
        super().__init__()
        kinds = ("word", "position", "token_type")
        self.word, self.position, self.segment = (weights.embedding(f"bert.embeddings.{kind}_embeddings") for kind in kinds)
        self.norm = weights.layer_norm("bert.embeddings.LayerNorm", epsilon)

    def forward(self, ids: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """[tokens, hidden]."""
        embedded: Tensor = self.norm(self.word(ids) + self.segment(segments) + self.position(positions))
        return embedded


class Layer(nn.Module):
    """One layer; query, key and value come out of one product."""

    def __init__(self, weights: Weights, name: str, own: Architecture) -> None:
        super().__init__()
        self.heads = own.heads
        self.query_key_value = weights.linear(*(f"{name}.attention.self.{kind}" for kind in ("query", "key", "value")))
        self.mixed = weights.linear(f"{name}.attention.output.dense")
        self.mixed_norm = weights.layer_norm(f"{name}.attention.output.LayerNorm", own.epsilon)
        self.inner = weights.linear(f"{name}.intermediate.dense")
        self.outer = weights.linear(f"{name}.output.dense")
        self.outer_norm = weights.layer_norm(f"{name}.output.LayerNorm", own.epsilon)
        self.attend: Attend = attention.choose(weights.device, weights.precision, self.mixed.in_features // own.heads)

    def forward(self, states: Tensor, bounds: Bounds, *, first_only: bool) -> Tensor:
        """[tokens, hidden] -> the same, or [sequences, hidden] of the first tokens."""
        query, key, value = (part.unflatten(-1, (self.heads, -1)) for part in self.query_key_value(states).chunk(3, dim=-1))
        asking = bounds
        if first_only:
            first = bounds.places[:-1].clamp(max=states.shape[0] - 1)  # an empty sequence may stand behind the last token
            query, states = query[first], states[first]
            asking = Bounds(torch.arange(first.shape[0] + 1, dtype=torch.int32, device=states.device), 1)
        mixed = self.attend(query, key, value, asking, bounds).flatten(1)
        mixed = self.mixed_norm(self.mixed(mixed) + states)
        made: Tensor = self.outer_norm(self.outer(gelu(self.inner(mixed))) + mixed)
        return made


class Bert(nn.Module):
    """The whole classifier."""

    def __init__(self, own: Architecture, weights: Weights) -> None:
        super().__init__()
        self.embeddings = Embeddings(weights, own.epsilon)
        self.layers = nn.ModuleList(Layer(weights, f"bert.encoder.layer.{number}", own) for number in range(own.layers))
        self.pooler = weights.linear("bert.pooler.dense", precision=torch.float32)
        self.classifier = weights.linear("classifier", precision=torch.float32)

    def forward(self, batch: PackedBatch) -> Tensor:
        """Raw logits, FP32 [sequences]; those of empty sequences mean nothing."""
        states = self.embeddings(batch.input_ids, batch.segments, batch.positions)
        for number, layer in enumerate(self.layers):
            states = layer(states, batch.bounds, first_only=number == len(self.layers) - 1)
        logits: Tensor = self.classifier(torch.tanh(self.pooler(states.float())))[:, 0]
        return logits

    def repeated(self) -> list[nn.Module]:
        """The parts whose kernels are worth compiling; all layers share theirs."""
        return [self.embeddings, *self.layers]
