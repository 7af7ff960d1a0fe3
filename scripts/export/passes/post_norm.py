"""BERT, and encoders built as it is: each part's output is added to its input and normed. RoBERTa, XLM-RoBERTa, ELECTRA, DistilBERT.

Knows transformers' names of their modules, neither files nor graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scripts.bert import forward
from scripts.export.passes.own import OwnPass

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Layer:
    """The modules of one layer, in the order in which they run; `inner` and `outer` are the feed-forward's."""

    query: Step
    key: Step
    value: Step
    mixed: Step
    mixed_norm: Step
    inner: Step
    outer: Step
    outer_norm: Step


def knows(config: Any) -> bool:
    """Whether the activation is BERT's, the one that the pass computes."""
    return getattr(config, "hidden_act", None) == "gelu" or getattr(config, "activation", None) == "gelu"


class Bert(OwnPass):
    """BERT."""

    def logits(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """See OwnPass."""
        return forward.logits(self.model, ids, mask, types)


class Roberta(OwnPass):
    """RoBERTa and XLM-RoBERTa."""

    def logits(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """See OwnPass."""
        own, head = self.model.roberta, self.model.classifier
        first = _first(own.embeddings(input_ids=ids, token_type_ids=types), mask, self.model.config.num_attention_heads, _layers(own))
        scores: Tensor = head.out_proj(torch.tanh(head.dense(first)))[:, 0]
        return scores


class Electra(OwnPass):
    """ELECTRA, whose embeddings may be narrower than its layers."""

    def logits(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """See OwnPass."""
        own, head = self.model.electra, self.model.classifier
        state = own.embeddings(input_ids=ids, token_type_ids=types)
        if hasattr(own, "embeddings_project"):
            state = own.embeddings_project(state)
        first = _first(state, mask, self.model.config.num_attention_heads, _layers(own))
        scores: Tensor = head.out_proj(head.activation(head.dense(first)))[:, 0]
        return scores


class DistilBert(OwnPass):
    """DistilBERT."""

    def logits(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:  # noqa: ARG002 (it has no segments)
        """See OwnPass."""
        own = self.model.distilbert
        layers = (
            Layer(
                layer.attention.q_lin,
                layer.attention.k_lin,
                layer.attention.v_lin,
                layer.attention.out_lin,
                layer.sa_layer_norm,
                layer.ffn.lin1,
                layer.ffn.lin2,
                layer.output_layer_norm,
            )
            for layer in own.transformer.layer
        )
        first = _first(own.embeddings(input_ids=ids), mask, self.model.config.n_heads, layers)
        scores: Tensor = self.model.classifier(torch.relu(self.model.pre_classifier(first)))[:, 0]
        return scores


FAMILIES: dict[str, type[OwnPass]] = {
    "bert": Bert,
    "roberta": Roberta,
    "xlm-roberta": Roberta,
    "electra": Electra,
    "distilbert": DistilBert,
}


def _layers(own: Any) -> Iterator[Layer]:
    """The layers of those that have BERT's names."""
    for layer in own.encoder.layer:
        asking, mixing = layer.attention.self, layer.attention.output
        feeding, out = layer.intermediate.dense, layer.output
        yield Layer(asking.query, asking.key, asking.value, mixing.dense, mixing.LayerNorm, feeding, out.dense, out.LayerNorm)


def _first(state: Tensor, mask: Tensor, heads: int, layers: Iterator[Layer]) -> Tensor:
    """The last layer's output for the first token, [batch, hidden], of embeddings [batch, sequence, hidden]."""
    bias = forward.masked(mask, state.dtype)
    every = list(layers)
    for layer in every:
        reader = state[:, :1] if layer is every[-1] else state
        mixed = forward.attention((layer.query(reader), layer.key(state), layer.value(state)), state, bias, heads)
        mixed = layer.mixed_norm(layer.mixed(mixed) + reader)
        state = layer.outer_norm(layer.outer(nn.functional.gelu(layer.inner(mixed))) + mixed)
    return state[:, 0]
