"""What rerankers that are causal decoders share: one direction of their head, read at the last token.

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
    """The decoder's body and one direction [hidden] of its head, as the graph wants it.

    `padding`: the token id that transformers' classifiers pass over at the end of a row, also where a text has it; None for none.
    """

    def __init__(self, model: Any, direction: Tensor, padding: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.direction = nn.Parameter(direction.detach().float().clone(), requires_grad=False)
        self.padding = padding

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Raw logits, FP32 [batch], at each row's last token, on whatever side the padding is."""
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False)
        read = attention_mask if self.padding is None else attention_mask * (input_ids != self.padding)
        last = (read * torch.arange(read.shape[1])).argmax(dim=-1)
        states = output.last_hidden_state
        logits: Tensor = states[torch.arange(states.shape[0]), last].float() @ self.direction
        return logits


@dataclass(frozen=True)
class Parts:
    """A decoder's family, the graph's module, and its reference: the logit of one pair's ids, INT64 [1, sequence]."""

    family: str
    module: LastToken
    reference: Callable[[Tensor], float]


@dataclass(frozen=True)
class Pairs:
    """How a decoder's pairs are put together.

    `joined`: by the tokenizer itself, not in a prompt. `longest`: tokens of a pair, where the model's own library allows fewer.
    """

    encoding: PairEncoding
    joined: bool = False
    longest: int | None = None


def checkpoint(parts: Parts, tokenizer: Any, pairs: Pairs, config: Any) -> Checkpoint:
    """The parts put together, with the loaded model's configuration. Too long a pair loses the end of its text, never what follows."""
    limit = min(int(config.max_position_embeddings), int(tokenizer.model_max_length), pairs.longest or int(tokenizer.model_max_length))
    tokenise = _joined if pairs.joined else _prompted

    def encode(query: str, passage: str) -> Encoded:
        ids = tokenise(tokenizer, pairs.encoding, limit, query, passage)
        return Encoded(ids, [0] * len(ids))

    return Checkpoint(
        family=parts.family,
        module=parts.module,
        inputs=("input_ids", "attention_mask"),
        tokenizer=tokenizer,
        pair_encoding=pairs.encoding,
        max_seq_len=limit,
        vocabulary_size=int(config.vocab_size),
        pad_id=pad_id(tokenizer, config.pad_token_id),
        encode=encode,
        reference=lambda pair: parts.reference(torch.tensor([pair.ids])),
    )


def _prompted(tokenizer: Any, encoding: PairEncoding, limit: int, query: str, passage: str) -> list[int]:
    """A pair in a prompt: its texts as one, or, where ids stand between them, one by one."""
    if encoding.between:
        first = tokenizer(encoding.query_prefix + query + encoding.query_suffix, add_special_tokens=False)["input_ids"]
        second = tokenizer(encoding.passage_prefix + passage, add_special_tokens=False)["input_ids"]
        text = [*first, *encoding.between, *second]
    else:
        whole = f"{encoding.query_prefix}{query}{encoding.query_suffix}{encoding.passage_prefix}{passage}"
        text = tokenizer(whole, add_special_tokens=False)["input_ids"]
    room = limit - len(encoding.before_query) - len(encoding.after_passage)
    return [*encoding.before_query, *text[:room], *encoding.after_passage]


def _joined(tokenizer: Any, encoding: PairEncoding, limit: int, query: str, passage: str) -> list[int]:
    """A pair as the tokenizer joins it. A list of pairs: transformers takes an empty second text of a single call for none."""
    ids: list[int] = tokenizer([(encoding.query_prefix + query, passage)], truncation="only_second", max_length=limit)["input_ids"][0]
    return ids
