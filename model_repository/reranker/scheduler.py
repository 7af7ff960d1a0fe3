"""Streams of the engine take micro-batches from one pool of the rows of all calls, and calls are answered by a thread of their own.

No call waits for others that take longer, no stream waits for another one, and rows of like length share a batch, with hardly any padding.
No Triton import.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from facade.errors import ScoringError
from reranker.aside import Aside, logged
from reranker.calls import Answer, Call
from reranker.engines.engine import Engine
from reranker.pool import Limits, Pool, Waiting
from reranker.scoring import Outcome, score

LOG = logging.getLogger(__name__)


class Scheduler:
    """Runs the engine's streams on one pool. `token_budget`: tokens of a micro-batch; bounds the memory of a forward pass.

    `computed` gets the rows of every batch, and its tokens, without padding and with it; `failed` is called after it for a batch of which
    a row could not be scored. An unexpected exception, of theirs or of the engine, fails at most its batch.
    """

    def __init__(  # noqa: PLR0913 (values of their own)
        self,
        engine: Engine,
        max_seq_len: int,
        token_budget: int,
        computed: Callable[[int, int, int], None] = lambda *_: None,
        failed: Callable[[], None] = lambda: None,
        *,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
    ) -> None:
        self._engine = engine
        self._computed = computed
        self._failed = failed
        self._limits = limits
        self._changed = threading.Condition()  # guards what follows, and the calls' own counts
        self._pool = Pool(engine, max_seq_len, token_budget, limits)
        self._idle = 0
        self._closed = False
        # Triton takes most of a millisecond for an answer, in which a stream can compute.
        self._answers = Aside("answers", "a call could not be answered")
        self._threads = [threading.Thread(target=self._work, name=f"stream-{number}", daemon=True) for number in range(engine.streams)]
        for thread in self._threads:
            thread.start()

    def submit(self, call: Call) -> None:
        """Have the call's rows scored; its `answered` is then called by another thread, or by this one where there are no rows.

        It gets None where the client has disconnected.
        """
        if not call.rows:
            call.answered(Answer([], 0.0))
            return
        with self._changed:
            self._pool.add(call, time.perf_counter())
            self._changed.notify_all()

    def waiting_tokens(self) -> int:
        """Tokens, padding included, that no batch has taken yet."""
        with self._changed:
            return self._pool.tokens()

    def wait_for_room(self) -> None:
        """Return once the streams could soon run out of work, and not too many bulk calls wait."""
        with self._changed:
            self._changed.wait_for(self._pool.has_room)

    def close(self) -> None:
        """Return when everything has been answered and the threads have ended."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._answers.close()

    def _work(self) -> None:
        while batch := self._take():
            try:
                self._compute(self._connected(batch))
            except BaseException:  # whatever it is, the stream has other batches to compute
                LOG.exception("a batch of %d rows failed", len(batch))
                self._give_up(batch)

    def _take(self) -> list[Waiting]:
        """The next batch, out of the pool; empty once the scheduler is closed and all is done."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._pool or self._closed)
            if not self._pool:
                return []
            batch = self._pool.take(self._idle)
            self._idle -= 1
            now = time.perf_counter()
            for row in batch:
                row.call.started = row.call.started or now
            self._changed.notify_all()
            return batch

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

    def _settle(self, batch: list[Waiting], outcomes: list[Outcome]) -> None:
        done = []
        with self._changed:
            for row, outcome in zip(batch, outcomes, strict=True):
                if row.call.unscored == 0:  # withdrawn meanwhile
                    continue
                row.call.outcomes[row.place] = outcome
                row.call.unscored -= 1
                if row.call.unscored == 0:
                    done.append(row.call)
        end = time.perf_counter()
        for call in done:
            self._answers.put(partial(call.answered, Answer(call.outcomes, end - (call.started or end))))

    def _give_up(self, batch: list[Waiting]) -> None:
        """Fail the calls of a batch as a whole: which of their rows were scored is not known."""
        for call in dict.fromkeys(row.call for row in batch):
            self._withdraw(call, Answer([ScoringError("its batch failed")] * len(call.rows), 0.0))
        with logged("a failed batch could not be counted"):
            self._failed()

    def _connected(self, batch: list[Waiting]) -> list[Waiting]:
        """The rows whose clients are connected; a call whose client has disconnected leaves the pool with all of its rows."""
        calls = {call for call in dict.fromkeys(row.call for row in batch) if not self._is_gone(call)}
        return [row for row in batch if row.call in calls]

    def _is_gone(self, call: Call) -> bool:
        """Ask Triton, unless that was done a moment ago. Only a stream may ask, about a call of its batch: it can't have its answer yet,
        with which Triton releases the request.
        """
        now = time.perf_counter()
        with self._changed:
            if call.unscored == 0:  # withdrawn by another stream
                return True
            if now - call.asked < self._limits.known_s:
                return False
            call.asked = now
        gone = False  # if that can't be known
        with logged("it is not known whether a client has disconnected"):
            gone = call.gone()
        if gone:
            self._withdraw(call, None)
        return gone

    def _withdraw(self, call: Call, answer: Answer | None) -> None:
        """Take a call out of the pool, with all of its rows, and give it this answer, unless it has one."""
        with self._changed:
            self._pool.remove(call)
            unanswered, call.unscored = call.unscored > 0, 0
            self._changed.notify_all()
        if unanswered:
            self._answers.put(partial(call.answered, answer))
