"""Scores text pairs with a checkpoint in bfloat16, for training and calibration. Does not know where the pairs come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from facade.reranking.batching import plan
from scripts.bert.forward import logits

TOKENS_PER_FORWARD = 4096  # of rows of similar length: little padding, and small enough for the processor's caches


def pair_logits(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], max_tokens: int) -> Tensor:
    """Logits, FP32 [pairs], differentiable. The passage of a pair over `max_tokens` is cut."""
    encoded = tokenizer(list(pairs), truncation="only_second", max_length=max_tokens, return_token_type_ids=True)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    parts: list[Tensor] = []
    order: list[int] = []
    for rows in plan(lengths, TOKENS_PER_FORWARD):
        batch = tokenizer.pad({name: [encoded[name][row] for row in rows] for name in encoded}, return_tensors="pt").to(model.device)
        # bfloat16 halves the time on processors that have it; weights stay fp32.
        with torch.autocast(model.device.type, torch.bfloat16):
            parts.append(logits(model, batch["input_ids"], batch["attention_mask"], batch["token_type_ids"]).float())
        order.extend(rows)
    return torch.cat(parts)[torch.argsort(torch.tensor(order, device=model.device))]


def score(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The logits as numbers; pairs are cut at the model's own limit."""
    with torch.inference_mode():
        found: list[float] = pair_logits(model, tokenizer, pairs, int(model.config.max_position_embeddings)).tolist()
    return found
