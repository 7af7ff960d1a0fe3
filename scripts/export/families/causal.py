"""What rerankers that are causal language models share: one direction of their head, read at the last token.

Of a head over the vocabulary only that direction goes into the graph; the other hundred thousand would cost more than the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from facade.reranking.bundle import PairEncoding
from scripts.export.checkpoint import Checkpoint, Encoded
from scripts.export.tokenizer import pad_id


class LastToken(nn.Module):
    """The language model's body and one direction [hidden] of its head, as the graph wants it."""

    def __init__(self, model: Any, direction: Tensor) -> None:
        super().__init__()
        self.model = model
        self.direction = nn.Parameter(direction.detach().float().clone(), requires_grad=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Raw logits, FP32 [batch], at each row's last token, on whatever side the padding is."""
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False)
        last = (attention_mask * torch.arange(attention_mask.shape[1])).argmax(dim=-1)
        states = output.last_hidden_state
        logits: Tensor = states[torch.arange(states.shape[0]), last].float() @ self.direction
        return logits


@dataclass(frozen=True)
class Parts:
    """A language model's family, the graph's module, and its reference: the logit of one pair's ids, INT64 [1, sequence]."""

    family: str
    module: LastToken
    reference: Callable[[Tensor], float]


def checkpoint(parts: Parts, tokenizer: Any, encoding: PairEncoding, config: Any) -> Checkpoint:
    """The parts put together, with the loaded model's configuration. Too long a pair loses the end of its text, never what follows."""
    limit = min(int(config.max_position_embeddings), int(tokenizer.model_max_length))
    room = limit - len(encoding.before_query) - len(encoding.after_passage)

    def encode(query: str, passage: str) -> Encoded:
        if encoding.between:
            first = tokenizer(encoding.query_prefix + query, add_special_tokens=False)["input_ids"]
            second = tokenizer(encoding.passage_prefix + passage, add_special_tokens=False)["input_ids"]
            text = [*first, *encoding.between, *second]
        else:
            whole = f"{encoding.query_prefix}{query}{encoding.query_suffix}{encoding.passage_prefix}{passage}"
            text = tokenizer(whole, add_special_tokens=False)["input_ids"]
        ids = [*encoding.before_query, *text[:room], *encoding.after_passage]
        return Encoded(ids, [0] * len(ids))

    return Checkpoint(
        family=parts.family,
        module=parts.module,
        inputs=("input_ids", "attention_mask"),
        tokenizer=tokenizer,
        pair_encoding=encoding,
        max_seq_len=limit,
        vocabulary_size=int(config.vocab_size),
        pad_id=pad_id(tokenizer, config.pad_token_id),
        encode=encode,
        reference=lambda pair: parts.reference(torch.tensor([pair.ids])),
    )
