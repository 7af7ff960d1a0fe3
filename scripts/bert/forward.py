"""BERT's forward pass with plain matrix products for attention, which halves the time of a training step on a CPU in bfloat16.

torch 2.13's fused attention for CPUs is slow in its backward pass at 32 dimensions a head (measured: 44 % of a step).
Knows transformers' modules, not what is trained.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Added to the scores of padding, as in the original BERT: exp(-10000) is 0 in every precision, and the number still fits fp16,
# where the usual smallest float would become -inf.
MASKED_SCORE = -10_000.0


def hidden_states(bert: Any, ids: Tensor, mask: Tensor, types: Tensor, *, first_only: bool = False) -> Tensor:
    """The last layer's output, [batch, sequence, hidden], from INT64 [batch, sequence]; no dropout.

    With `first_only` the first token's only, [batch, 1, hidden], which the classifier reads: a seventh less work.
    """
    heads = bert.config.num_attention_heads
    state: Tensor = bert.embeddings(input_ids=ids, token_type_ids=types)
    bias = masked(mask, state.dtype)
    last = len(bert.encoder.layer) - 1
    for number, layer in enumerate(bert.encoder.layer):
        reader = state[:, :1] if first_only and number == last else state
        own = layer.attention.self
        mixed = attention((own.query(reader), own.key(state), own.value(state)), state, bias, heads)
        mixed = layer.attention.output.LayerNorm(layer.attention.output.dense(mixed) + reader)
        inner = torch.nn.functional.gelu(layer.intermediate.dense(mixed))
        state = layer.output.LayerNorm(layer.output.dense(inner) + mixed)
    return state


def logits(model: Any, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
    """The logits of a BertForSequenceClassification with one label, [batch]."""
    first = hidden_states(model.bert, ids, mask, types, first_only=True)[:, 0]
    scores: Tensor = model.classifier(torch.tanh(model.bert.pooler.dense(first)))[:, 0]
    return scores


def masked(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to attention's scores, [batch, 1, 1, sequence], for a mask INT64 [batch, sequence]."""
    return (1.0 - mask[:, None, None, :].to(dtype)) * MASKED_SCORE


def attention(products: tuple[Tensor, Tensor, Tensor], state: Tensor, bias: Tensor, heads: int) -> Tensor:
    """What tokens read from each other, [batch, tokens, hidden], of query, key and value of the same shape.

    `state`: what key and value were made of; shapes are its own, since runtimes fuse no product whose shape is read.
    """
    batch, _, width = state.shape
    size = width // heads

    def split(values: Tensor) -> Tensor:
        return values.view(batch, -1, heads, size).transpose(1, 2)

    query, key, value = products
    return mixed((split(query) * size**-0.5, split(key), split(value)), state, bias)


def mixed(parts: tuple[Tensor, Tensor, Tensor], state: Tensor, bias: Tensor) -> Tensor:
    """The same of query, key and value [batch, heads, tokens, size], the query scaled beforehand."""
    query, key, value = parts
    batch, _, width = state.shape
    scores = torch.matmul(query, key.transpose(-1, -2))
    with torch.autocast(state.device.type, enabled=False):  # it would convert to fp32 and back: 5 % of a step
        weights = (scores + bias.to(scores.dtype)).softmax(dim=-1)
    return torch.matmul(weights, value).transpose(1, 2).reshape(batch, -1, width)
