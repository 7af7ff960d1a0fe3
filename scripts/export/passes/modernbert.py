"""ModernBERT: norms before each part, rotary positions, and layers whose tokens see a window of others.

Knows transformers' names of its modules, neither files nor graphs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from scripts.bert import forward
from scripts.export.passes.own import OwnPass

GLOBAL, LOCAL = "full_attention", "sliding_attention"


def knows(config: Any) -> bool:
    """Whether its pooling and its rotary positions are those that the pass computes."""
    kinds = {str((config.rope_parameters[kind] or {}).get("rope_type", "default")) for kind in set(config.layer_types)}
    return kinds == {"default"} and config.classifier_pooling in {"cls", "mean"}


class ModernBert(OwnPass):
    """ModernBERT."""

    def logits(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:  # noqa: ARG002 (it has no segments)
        """See OwnPass."""
        own, config = self.model.model, self.model.config
        size = config.hidden_size // config.num_attention_heads
        state: Tensor = own.embeddings.norm(own.embeddings.tok_embeddings(ids))
        places = torch.arange(ids.shape[1], device=ids.device)[None]
        seen = forward.masked(mask, state.dtype)
        distant = ((places[:, :, None] - places[:, None, :]).abs() > config.sliding_window)[:, None]
        bias = {GLOBAL: seen, LOCAL: seen + distant.to(state.dtype) * forward.MASKED_SCORE}
        turns = {kind: [each[:, None] for each in own.rotary_emb(state, places, kind)] for kind in set(config.layer_types)}
        first_only = config.classifier_pooling == "cls"
        last = len(own.layers) - 1
        for number, layer in enumerate(own.layers):
            kind = layer.attention_type
            read = slice(0, 1) if first_only and number == last else slice(None)
            normed = layer.attn_norm(state)
            query, key, value = _split(normed[:, read], normed, layer.attn.Wqkv, (config.num_attention_heads, size))
            cos, sin = turns[kind]
            scale = size**-0.5
            query = _turned(query, cos[:, :, read] * scale, sin[:, :, read] * scale)
            seen_by = bias[kind][:, :, read] if kind == LOCAL else bias[kind]
            mixed = forward.mixed((query, _turned(key, cos, sin), value), normed, seen_by)
            state = state[:, read] + layer.attn.Wo(mixed)
            state = state + _feed(layer.mlp, layer.mlp_norm(state))
        state = own.final_norm(state)
        pooled = state[:, 0] if first_only else _mean(state, mask)
        scores: Tensor = self.model.classifier(self.model.head(pooled))[:, 0]
        return scores


FAMILIES: dict[str, type[OwnPass]] = {"modernbert": ModernBert}


def _split(reader: Tensor, state: Tensor, product: Any, heads: tuple[int, int]) -> list[Tensor]:
    """Query, key and value [batch, heads, tokens, size], each by a product of its own: none has to be cut out of a larger result."""
    width = heads[0] * heads[1]
    made = []
    for number, source in enumerate((reader, state, state)):
        part = slice(number * width, (number + 1) * width)
        bias = None if product.bias is None else product.bias[part]
        made.append(linear(source, product.weight[part], bias).view(state.shape[0], -1, *heads).transpose(1, 2))
    return made


def _turned(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions applied to [batch, heads, tokens, size]."""
    half = states.shape[-1] // 2
    return states * cos + torch.cat((-states[..., half:], states[..., :half]), dim=-1) * sin


def _feed(own: Any, state: Tensor) -> Tensor:
    """The gated feed-forward, whose two halves come out of products of their own."""
    width = own.Wo.in_features
    biases = (None, None) if own.Wi.bias is None else (own.Wi.bias[:width], own.Wi.bias[width:])
    fed: Tensor = own.Wo(own.act(linear(state, own.Wi.weight[:width], biases[0])) * linear(state, own.Wi.weight[width:], biases[1]))
    return fed


def _mean(state: Tensor, mask: Tensor) -> Tensor:
    """The mean over all tokens, [batch, hidden]: a product with the mask, by which engines know it."""
    weights = mask.to(state.dtype)
    return torch.matmul(weights[:, None], state)[:, 0] / weights.sum(dim=1, keepdim=True)
