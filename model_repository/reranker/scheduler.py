"""Rows of all calls wait in one pool; each stream of the engine takes the one that is due first and those most like it, once it is free.

So nobody waits for batch mates that take longer, padding is next to nothing, and no stream waits for another one. Small calls overtake
large ones, but not for ever. No Triton import.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import takewhile
from operator import attrgetter

from facade.errors import ScoringError
from facade.reranking.batching import pick
from facade.reranking.tensors import padded_length
from reranker.calls import Answer, Call, Waiting
from reranker.engines.engine import Engine
from reranker.logged import logged
from reranker.outbox import Outbox
from reranker.scoring import Outcome, score

LOG = logging.getLogger(__name__)

# Batches that wait for each stream: enough that a small call need not wait in Triton's queue, where nothing overtakes, while a few large
# ones are here (with 2 instead of 16 it took a quarter longer beside calls of 4,096 tokens), and few enough that choosing among them takes
# less than a millisecond.
BATCHES_WAITING = 16
# Bulk calls are due so much later: whatever else comes in that time goes first, but they are not left lying for ever.
BULK_PATIENCE_S = 10.0
# Tokens of bulk calls that wait beside the pool, so that nobody has to wait behind them in Triton's queue: two of the largest calls that
# there are. Each has 24 bytes of the shared memory, of which a container has 64 MiB.
BULK_WAITING = 2 * 512 * 512
# Whether anybody waits for a call is known for so long: half of what a batch takes on one core. Asking takes a third of a millisecond.
KNOWN_S = 0.015


class Scheduler:
    """Has the engine's streams work from one pool. `token_budget`: tokens of a micro-batch; bounds the memory of a forward pass.

    `computed` gets the rows of every batch, and its tokens, without padding and with it; `failed` is called after it for a batch of which
    a row could not be scored. An unexpected exception, of theirs or of the engine, fails at most its batch.
    """

    def __init__(
        self,
        engine: Engine,
        max_seq_len: int,
        token_budget: int,
        computed: Callable[[int, int, int], None] = lambda *_: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._max_seq_len = max_seq_len
        self._token_budget = token_budget
        self._room = BATCHES_WAITING * token_budget * engine.streams
        self._computed = computed
        self._failed = failed
        self._changed = threading.Condition()  # guards what follows, and the calls' own counts
        self._pool: list[Waiting] = []  # what is due first comes first
        self._bulk: deque[list[Waiting]] = deque()  # calls that the pool had no room for
        self._idle = 0
        self._closed = False
        self._outbox = Outbox()
        self._threads = [threading.Thread(target=self._work, name=f"stream-{number}", daemon=True) for number in range(engine.streams)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Call) -> None:
        """Has the call's rows scored; its `answered` is then called, by another thread, or by this one where there are no rows.

        It gets None where the call is found gone.
        """
        if not call.rows:
            call.answered(Answer([], 0.0))
            return
        lengths = [padded_length(len(row.input_ids), self._engine.step, self._max_seq_len) for row in call.rows]
        due = time.perf_counter() + self._engine.patience_s * sum(lengths) + (BULK_PATIENCE_S if call.bulk else 0.0)
        with self._changed:
            rows = [Waiting(call, place, length, due) for place, length in enumerate(lengths)]
            if call.bulk:
                self._bulk.append(rows)
                self._let_bulk_in()
            else:
                self._add(rows)
            self._changed.notify_all()

    def waiting_tokens(self) -> int:
        """Tokens, padding included, that no batch has taken yet."""
        with self._changed:
            return _tokens(self._pool) + sum(map(_tokens, self._bulk))

    def wait_for_room(self) -> None:
        """Returns once so little waits that the streams could soon run dry. Bulk calls count only where very many wait."""
        with self._changed:
            self._changed.wait_for(self._has_room)

    def _has_room(self) -> bool:
        interactive = _tokens(row for row in self._pool if not row.call.bulk)
        return interactive < self._room and sum(map(_tokens, self._bulk)) < BULK_WAITING

    def close(self) -> None:
        """Returns when everything has been answered and the threads have ended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._outbox.close()

    def _work(self) -> None:
        while batch := self._take():
            try:
                self._compute(self._without_gone(batch))
            except BaseException:  # whatever it is, the stream has other batches to compute
                LOG.exception("a batch of %d rows failed", len(batch))
                self._give_up(batch)

    def _compute(self, batch: list[Waiting]) -> None:
        if not batch:
            return
        rows = [row.call.rows[row.place] for row in batch]
        outcomes = score(self._engine, rows)
        with logged("a batch could not be counted"):
            lengths = [len(row.input_ids) for row in rows]
            self._computed(len(rows), sum(lengths), self._engine.computed_tokens(lengths))
            if any(isinstance(outcome, ScoringError) for outcome in outcomes):
                self._failed()
        self._settle(batch, outcomes)

    def _give_up(self, batch: list[Waiting]) -> None:
        """Fail the calls of a batch as a whole: which of their rows were scored is not known."""
        for call in dict.fromkeys(row.call for row in batch):
            if self._withdraw(call):
                self._outbox.put(partial(call.answered, Answer([ScoringError("its batch failed")] * len(call.rows), 0.0)))
        with logged("a failed batch could not be counted"):
            self._failed()

    def _take(self) -> list[Waiting]:
        """The next batch, out of the pool; none once all is closed and done."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._pool or self._closed)
            if not self._pool:
                return []
            lengths = [row.length for row in self._pool]
            # Little work is shared among the streams that wait for some.
            budget = min(self._token_budget, -(-len(lengths) * max(lengths) // self._idle))
            together = sum(1 for _ in takewhile(lambda row: row.call is self._pool[0].call, self._pool))
            chosen = {0}  # if no batch can be chosen
            with logged("no batch could be chosen"):
                chosen = set(pick(lengths, budget, self._engine.batch_cost, together))
            batch = [row for index, row in enumerate(self._pool) if index in chosen]
            self._pool = [row for index, row in enumerate(self._pool) if index not in chosen]
            self._let_bulk_in()
            self._idle -= 1
            self._changed.notify_all()
            return batch

    def _add(self, rows: list[Waiting]) -> None:
        self._pool += rows
        self._pool.sort(key=attrgetter("due"))

    def _let_bulk_in(self) -> None:
        while self._bulk and _tokens(self._pool) < self._room:
            self._add(self._bulk.popleft())

    def _without_gone(self, batch: list[Waiting]) -> list[Waiting]:
        """Those rows whose callers still wait; a call that is gone leaves the pool with all of its rows."""
        wanted = {call for call in dict.fromkeys(row.call for row in batch) if self._still_wanted(call)}
        return [row for row in batch if row.call in wanted]

    def _still_wanted(self, call: Call) -> bool:
        now = time.perf_counter()
        with self._changed:
            call.started = call.started or now
            if call.left == 0:  # another stream found it gone, or gave it up
                return False
            if now - call.asked < KNOWN_S:
                return True
            call.asked = now
        gone = False  # if that can't be known
        with logged("whether a caller left is not known"):
            gone = call.gone()
        if gone and self._withdraw(call):
            self._outbox.put(partial(call.answered, None))
        return not gone

    def _withdraw(self, call: Call) -> bool:
        """Take a call out of the pool, with all of its rows; whether it still needs its answer."""
        with self._changed:
            self._pool = [row for row in self._pool if row.call is not call]
            self._let_bulk_in()
            unanswered, call.left = call.left > 0, 0
            self._changed.notify_all()
            return unanswered

    def _settle(self, batch: list[Waiting], outcomes: list[Outcome]) -> None:
        done = []
        with self._changed:
            for row, outcome in zip(batch, outcomes, strict=True):
                if row.call.left == 0:  # found gone, or given up, meanwhile
                    continue
                row.call.outcomes[row.place] = outcome
                row.call.left -= 1
                if row.call.left == 0:
                    done.append(row.call)
        end = time.perf_counter()
        for call in done:
            self._outbox.put(partial(call.answered, Answer(call.outcomes, end - (call.started or end))))


def _tokens(rows: Iterable[Waiting]) -> int:
    return sum(row.length for row in rows)
