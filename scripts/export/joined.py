"""How a tokenizer itself joins a query and a passage, as a pair encoding. Knows no model."""

from __future__ import annotations

from typing import Any

from facade.reranking.bundle import PairEncoding
from scripts.export.checkpoint import ExportError

PROBE = ("a query", "and its passage")


def read_pair_encoding(tokenizer: Any, *, segments: bool) -> PairEncoding:
    """How the tokenizer itself joins two texts. Raises ExportError where a text's tokens change in company."""
    query, passage = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in PROBE)
    joined = tokenizer(*PROBE)
    ids = joined["input_ids"]
    first = _find(ids, query, 0)
    second = _find(ids, passage, first + len(query))
    encoding = PairEncoding(
        before_query=tuple(ids[:first]),
        between=tuple(ids[first + len(query) : second]),
        after_passage=tuple(ids[second + len(passage) :]),
        segment_ids=segments,
    )
    if segments and joined["token_type_ids"] != [0] * second + [1] * (len(ids) - second):
        raise ExportError("the tokenizer's segment ids are not 0 for the query and 1 from the passage on; no known family has others")
    return encoding


def _find(ids: list[int], part: list[int], start: int) -> int:
    for place in range(start, len(ids) - len(part) + 1):
        if ids[place : place + len(part)] == part:
            return place
    raise ExportError("the tokenizer changes the tokens of a text when it joins two texts: no family with such a tokenizer can be exported")
