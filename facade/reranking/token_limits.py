"""Limits of a request's own, in tokens, beside the model's: a passage's end is cut to them. Knows no request shape."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from facade.reranking.pairs import TokenPairs
from facade.reranking.token_ids import WIDTH, Ids, count, first


@dataclass(frozen=True)
class TokenLimits:
    """Most tokens of a pair, special ones included, and of a passage alone; None: as many as the model takes."""

    pair: int | None = None
    passage: int | None = None


NO_LIMITS = TokenLimits()


def limited(pairs: TokenPairs, limits: TokenLimits) -> TokenPairs:
    """The pairs with their passages' ends cut to the limits. Pairs that lose tokens are named in `truncated`; the query stays whole."""
    if limits == NO_LIMITS:
        return pairs
    rows = tuple(_cut(pairs, limits))
    cut = {index for index, row in enumerate(rows) if row is not pairs.rows[index]}
    return replace(pairs, rows=rows, truncated=tuple(sorted(cut.union(pairs.truncated))))


def _cut(pairs: TokenPairs, limits: TokenLimits) -> Iterator[Ids]:
    after = len(pairs.bundle.pair_encoding.after_passage)
    for index, row in enumerate(pairs.rows):
        head = pairs.heads.get(index, pairs.query_length)
        length = count(row) - head - after
        room = length if limits.passage is None else min(length, limits.passage)
        room = room if limits.pair is None else min(room, max(limits.pair - head - after, 0))
        yield row if room == length else first(row, head + room) + row[len(row) - WIDTH * after :]
