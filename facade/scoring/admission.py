"""Bounded work in flight, in requests, in tokens and in seconds: what can't be answered soon is refused at once.

Never waits. Before the body is tokenised its bytes stand in for its tokens, but for no more of them than truncation leaves; afterwards the
real count does. Knows no HTTP.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from facade.errors import OverloadedError
from facade.scoring.speed import Speed

# English text has some four bytes to a token; other scripts have more bytes, so this errs towards letting work in to be counted.
_BYTES_PER_TOKEN = 4
# What bulk work may take of the requests and tokens in flight: the rest is for those who wait in front of a screen.
_BULK_SHARE = 0.5
# A request may always wait for this number of others, and for this many times its own work. So nine clients that each wait for their
# answers are never refused, on any model and however wrong the measured speed is: few clients of a reranker retry.
_OTHERS = 8
# A refused caller comes back after at most this: what is ahead now may be gone sooner, since callers leave.
_LONGEST_RETRY_S = 30


@dataclass(frozen=True)
class Limits:
    """Of all requests together: how many, their tokens, and the seconds that one may have to wait for the others' work.

    `under_way`: tokens of a request that the model may already have, so that later ones wait for them. `deadline_s`: a request that
    may wait for longer than `wait_s` has to be done within this.
    """

    requests: int
    tokens: int
    wait_s: float = math.inf
    under_way: int = 0
    deadline_s: float = math.inf


@dataclass(eq=False)
class Work:
    """One request's: whether it may wait for others (bulk), the tokens that it stands for, and those of them that are not computed yet."""

    admission: "Admission"
    bulk: bool
    tokens: int = 0
    left: int = 0

    def computed(self, tokens: int, engine_s: float) -> None:
        """So many of its tokens have been, in so many seconds of the model's own."""
        self.admission.computed(self, tokens, engine_s)


class Admission:
    """Lets work in as long as there is room. A request that is bigger than `limits` allow is let in when it is alone."""

    def __init__(self, limits: Limits, speed: Speed | None = None) -> None:
        self._limits = limits
        self.speed = speed or Speed()
        self._running: set[Work] = set()
        self.tokens = 0
        self._left = 0

    @property
    def requests(self) -> int:
        """Requests in flight."""
        return len(self._running)

    def require_room(self, body_bytes: int, most_tokens: int, *, bulk: bool = False) -> None:
        """Raise OverloadedError where a request with a body of this size, and of at most `most_tokens`, would not be let in now."""
        self._require_place(bulk=bulk)
        self._require_room(Work(self, bulk), min(body_bytes // _BYTES_PER_TOKEN, most_tokens))

    @contextmanager
    def request(self, body_bytes: int, most_tokens: int, *, bulk: bool = False) -> Iterator[Work]:
        """Admit one request, of at most `most_tokens`, for as long as the block runs. Raises OverloadedError when full."""
        self._require_place(bulk=bulk)
        work = Work(self, bulk)
        self._running.add(work)
        try:
            tokens = min(body_bytes // _BYTES_PER_TOKEN, most_tokens)
            self._require_room(work, tokens)
            self._set(work, tokens)
            yield work
        finally:
            self._running.remove(work)
            self._set(work, 0)

    def bound(self, work: Work, most_tokens: int) -> None:
        """Let `work` stand for `most_tokens` where its bytes stood for more."""
        self._set(work, min(work.tokens, most_tokens))

    def count(self, work: Work, tokens: int) -> None:
        """Let `work` stand for `tokens` from now on. Raises OverloadedError where that is more than there is room for."""
        self._require_room(work, tokens)
        self._set(work, tokens)

    def computed(self, work: Work, tokens: int, engine_s: float) -> None:
        """So many of the work's tokens have been computed, in so many seconds of the model's own: nobody waits for them any more."""
        tokens = min(tokens, work.left)
        work.left -= tokens
        self._left -= tokens
        self.speed.computed(tokens, self._left, engine_s)

    def _set(self, work: Work, tokens: int) -> None:
        if self._left == 0:
            self.speed.begins()
        self.tokens += tokens - work.tokens
        self._left += tokens - work.left
        work.tokens = work.left = tokens

    def _share(self, *, bulk: bool) -> float:
        return _BULK_SHARE if bulk else 1.0

    def _require_place(self, *, bulk: bool) -> None:
        if self.requests and self.requests >= self._limits.requests * self._share(bulk=bulk):
            told = f"{self.requests} requests are in flight, the most this server takes"
            raise self._overloaded(told, self._left)

    def _require_room(self, work: Work, tokens: int) -> None:
        others = self.tokens - work.tokens
        if others and others + tokens > self._limits.tokens * self._share(bulk=work.bulk):
            raise self._overloaded(f"{others} tokens are in flight and {tokens} more would be too many", self._left - work.left)
        speed, first = self.speed.tokens_per_s, self._first(work)
        if not speed or len(first) <= _OTHERS:
            return
        own_s, ahead = tokens / speed, self._ahead(first, tokens)
        may_wait_s = max(self._limits.wait_s, min(_OTHERS * own_s, self._limits.deadline_s - own_s))
        if ahead / speed > may_wait_s:
            raise self._overloaded(f"{ahead / speed:.3g} s of work are ahead, and this request may wait {may_wait_s:.3g} s", ahead)

    def _first(self, work: Work) -> list[Work]:
        """The requests that such work may have to wait for; bulk work gives way."""
        return [other for other in self._running if other is not work and other.left and (work.bulk or not other.bulk)]

    def _ahead(self, first: list[Work], tokens: int) -> int:
        """Of their tokens those that are computed before such work is done: of each request no more than it brings itself, or is under way.

        For so does the model's scheduler: smaller calls go first.
        """
        most = max(tokens, self._limits.under_way)
        return sum(min(most, other.left) for other in first)

    def _overloaded(self, told: str, ahead: int) -> OverloadedError:
        speed = self.speed.tokens_per_s
        seconds = min(max(math.ceil(ahead / speed), 1), _LONGEST_RETRY_S) if speed else 1
        return OverloadedError(f"{told}; retry after {seconds} s", seconds)
