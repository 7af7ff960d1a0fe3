"""Prompts as pair encodings: where a prompt may be cut so that its parts, tokenised alone, make the same tokens as the whole.

Whether they do depends on the tokenizer, so it is tried out on texts that are known to join badly. Knows no model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

from facade.reranking.bundle import PairEncoding
from scripts.export.checkpoint import ExportError

# What joins to its neighbours: spaces and line feeds at either end, punctuation, digits, nothing, other scripts, the prompt's own words.
TRIED = (
    "",
    " ",
    "which way should i go?",
    " leading and trailing ",
    "a line\n",
    "\n\nlines\n\n",
    "tabs\tand\r\nreturns",
    "ends with colon:",
    "1234567",
    "...!?",
    "don't",
    "\u673a\u5668\u5b66\u4e60",
    "\U0001f469\u200d\U0001f467",
    "question: \n \n passage:",
    "<Document>: x\n<Query>:",
    "{query}",
)


@dataclass(frozen=True)
class Prompt:
    """before + query_prefix + the query + query_suffix + passage_prefix + the passage + after; cut where the names change."""

    before: str
    query_prefix: str
    query_suffix: str
    passage_prefix: str
    after: str

    def fill(self, query: str, passage: str) -> str:
        """The whole text."""
        return f"{self.before}{self.query_prefix}{query}{self.query_suffix}{self.passage_prefix}{passage}{self.after}"


def as_pair_encoding(tokenizer: Any, prompt: Prompt, *, special: bool = True) -> PairEncoding:
    """The prompt cut into parts whose tokens are those of the whole. Raises ExportError where a token crosses every cut.

    `special`: whether the tokenizer adds its own tokens around the whole. A chat template writes those that it wants.
    """
    whole = tokenizer(prompt.before + "x" + prompt.after, add_special_tokens=special)["input_ids"]
    bare = tokenizer(prompt.before + "x" + prompt.after, add_special_tokens=False)["input_ids"]
    starts = next(place for place in range(len(whole)) if whole[place : place + len(bare)] == bare)
    # A tokenizer that puts a space before every text needs the passage's part without the prompt's own.
    for passage_prefix in dict.fromkeys((prompt.passage_prefix, prompt.passage_prefix.removeprefix(" "))):
        encoding = PairEncoding(
            before_query=(*whole[:starts], *_ids(tokenizer, prompt.before)),
            between=(),
            after_passage=(*_ids(tokenizer, prompt.after), *whole[starts + len(bare) :]),
            segment_ids=False,
            query_prefix=prompt.query_prefix,
            query_suffix=prompt.query_suffix,
            passage_prefix=passage_prefix,
        )
        pairs = product(TRIED, TRIED)
        crossing = next(
            (pair for pair in pairs if _join(tokenizer, encoding, *pair) != _whole(tokenizer, prompt, pair, special=special)), None
        )
        if crossing is None:
            return encoding
    raise ExportError(f"this tokenizer's tokens cross the prompt's parts, for example around {crossing!r}: it is not the family's own")


def _whole(tokenizer: Any, prompt: Prompt, pair: tuple[str, str], *, special: bool) -> list[int]:
    ids: list[int] = tokenizer(prompt.fill(*pair), add_special_tokens=special)["input_ids"]
    return ids


def _join(tokenizer: Any, encoding: PairEncoding, query: str, passage: str) -> list[int]:
    first = _ids(tokenizer, f"{encoding.query_prefix}{query}{encoding.query_suffix}")
    second = _ids(tokenizer, encoding.passage_prefix + passage)
    return [*encoding.before_query, *first, *encoding.between, *second, *encoding.after_passage]


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
    return ids
