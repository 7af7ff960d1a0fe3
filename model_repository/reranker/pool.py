"""Rows that wait for a batch, in the order in which they are due; bulk calls wait beside them. Knows neither threads nor clocks.

A row is due at its arrival plus the engine's patience times the tokens of its call. So small calls overtake large ones until these are due.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import attrgetter

from facade.reranking.batching import pick
from facade.reranking.tensors import padded_length
from reranker.aside import logged
from reranker.calls import Call
from reranker.engines.engine import Engine


@dataclass(frozen=True)
class Limits:
    """What waits, and how long.

    `batches`: micro-batches in the pool for each stream. More keep small calls out of Triton's queue, where nothing overtakes (with 2
    instead of 16, a small call beside calls of 4,096 tokens took a quarter longer); with more than 16, choosing a batch takes over 1 ms.
    `bulk_tokens`: tokens of bulk calls beside the pool, two of the largest calls that there are; further ones wait in Triton's queue, in
    front of all others. A token takes 24 bytes of shared memory, of which a container has 64 MiB. `bulk_patience_s`: seconds by which bulk
    calls are due later. `known_s`: seconds for which a client counts as connected after it was asked about or its call came: half of
    one batch's time on one core, since asking costs 0.3 to 0.6 ms each time.
    """

    batches: int = 16
    bulk_tokens: int = 2 * 512 * 512
    bulk_patience_s: float = 10.0
    known_s: float = 0.015


@dataclass(frozen=True, eq=False)
class Waiting:
    """A row of the pool: its call, its index there, its tokens with padding, and when it is due."""

    call: Call
    place: int
    length: int
    due: float


class Pool:
    """Rows of all calls that no batch has taken. `token_budget`: most tokens of a micro-batch. Times are seconds of any one clock."""

    def __init__(self, engine: Engine, max_seq_len: int, token_budget: int, limits: Limits) -> None:
        self._engine = engine
        self._max_seq_len = max_seq_len
        self._token_budget = token_budget
        self._limits = limits
        self._room = limits.batches * token_budget * engine.streams
        self._rows: list[Waiting] = []  # sorted by `due`
        self._bulk: deque[list[Waiting]] = deque()  # calls that the pool had no room for

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, call: Call, now: float) -> None:
        """Take a call in, or put it beside the pool where it is a bulk call and the pool is full."""
        lengths = [padded_length(len(row.input_ids), self._engine.step, self._max_seq_len) for row in call.rows]
        due = now + self._engine.patience_s * sum(lengths) + (self._limits.bulk_patience_s if call.bulk else 0.0)
        rows = [Waiting(call, place, length, due) for place, length in enumerate(lengths)]
        if call.bulk:
            self._bulk.append(rows)
            self._admit_bulk()
        else:
            self._insert(rows)

    def take(self, idle: int) -> list[Waiting]:
        """Remove the row that is due first and those most like it, up to the budget; little work is shared among `idle` streams."""
        lengths = [row.length for row in self._rows]
        budget = min(self._token_budget, -(-len(lengths) * max(lengths) // idle))
        first = self._rows[0].call
        together = sum(1 for _ in takewhile(lambda row: row.call is first, self._rows))
        chosen = {0}  # if no batch can be chosen
        with logged("no batch could be chosen"):
            chosen = set(pick(lengths, budget, self._engine.batch_cost, together))
        batch = [row for index, row in enumerate(self._rows) if index in chosen]
        self._rows = [row for index, row in enumerate(self._rows) if index not in chosen]
        self._admit_bulk()
        return batch

    def remove(self, call: Call) -> None:
        """Drop the rows of the call that are in the pool; a bulk call beside it keeps its place."""
        self._rows = [row for row in self._rows if row.call is not call]
        self._admit_bulk()

    def tokens(self) -> int:
        """Tokens of all rows, padding included, bulk calls beside the pool too."""
        return _tokens(self._rows) + sum(map(_tokens, self._bulk))

    def has_room(self) -> bool:
        """Whether the streams could soon run out of work. Bulk calls count only beyond their own limit."""
        interactive = _tokens(row for row in self._rows if not row.call.bulk)
        return interactive < self._room and sum(map(_tokens, self._bulk)) < self._limits.bulk_tokens

    def _insert(self, rows: Sequence[Waiting]) -> None:
        self._rows += rows
        self._rows.sort(key=attrgetter("due"))

    def _admit_bulk(self) -> None:
        while self._bulk and _tokens(self._rows) < self._room:
            self._insert(self._bulk.popleft())


def _tokens(rows: Iterable[Waiting]) -> int:
    return sum(row.length for row in rows)
