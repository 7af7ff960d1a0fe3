"""Bounded work in flight, in requests, in tokens, in bytes and in seconds: what can't be answered soon is refused at once.

Never waits. Until it is tokenised, a request counts as a quarter of its bytes in tokens, and as no more than truncation leaves; afterwards
as its tokens. Its bytes count from the first one that has come, since slow uploads of images would fill the memory. Knows no HTTP.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from facade.errors import OverloadedError
from facade.scoring.speed import Speed

# English text has some four bytes to a token; other scripts have more bytes, so this errs towards letting work in to be counted.
_BYTES_PER_TOKEN = 4
# A body of this size is let in however many bytes are in flight: texts do not wait for uploads of images.
_SMALL_BYTES = 1 << 20
# Bulk work is admitted only while all work in flight fills at most this share of the room: the rest is for interactive requests.
_BULK_SHARE = 0.5
# A request may always wait for this number of others, and for this many times its own work. So nine clients that each wait for their
# answers are never refused, on any model and however wrong the measured speed is: few clients of a reranker retry.
_OTHERS = 8
# The longest Retry-After: what is ahead may be gone sooner, since clients disconnect.
_LONGEST_RETRY_S = 30


@dataclass(frozen=True)
class Limits:
    """Of all requests together: how many, their tokens, the seconds that one may have to wait for the others' work, their bodies' bytes.

    `under_way`: tokens of a request that the model may already have, so that later ones wait for them. `deadline_s`: a request that
    may wait for longer than `wait_s` has to be done within this.
    """

    requests: int
    tokens: int
    wait_s: float = math.inf
    under_way: int = 0
    deadline_s: float = math.inf
    held_bytes: float = math.inf


@dataclass(eq=False)
class Work:
    """One request on its way through admission; its steps are called in the order in which they stand here.

    `bulk` work gives way to other work. `tokens` are those that the request stands for, `left` those of them that are not computed yet,
    `held` the bytes of its body.
    """

    admission: "Admission"
    bulk: bool
    most_tokens: int
    tokens: int = 0
    left: int = 0
    held: int = 0

    def hold(self, body_bytes: int) -> None:
        """Stand for the bytes of a body that have come so far. Raises OverloadedError where there is no room for them."""
        self.admission._hold(self, body_bytes)

    def received(self, body_bytes: int) -> None:
        """Take a place, and stand for a body of this size. Raises OverloadedError where there is no room for it."""
        self.admission._take_place(self, _estimate(body_bytes, self.most_tokens))

    def bound(self, most_tokens: int) -> None:
        """Stand for `most_tokens` where the body stood for more."""
        self.admission._stand_for(self, min(self.tokens, most_tokens))

    def count(self, tokens: int) -> None:
        """Stand for `tokens`, the real count, from now on. Raises OverloadedError where there is no room for that many."""
        self.admission._require_room(self, tokens)
        self.admission._stand_for(self, tokens)

    def computed(self, tokens: int, engine_s: float) -> None:
        """Take off `tokens` that the model has computed, in `engine_s` seconds of its own: no request waits for them any more."""
        self.admission._computed(self, tokens, engine_s)


class Admission:
    """Lets work in as long as there is room. A request that is bigger than `limits` allow is let in when it is alone."""

    def __init__(self, limits: Limits, speed: Speed | None = None) -> None:
        self._limits = limits
        self.speed = speed or Speed()
        self._running: set[Work] = set()
        self.tokens = 0
        self.held = 0
        self._left = 0

    @property
    def requests(self) -> int:
        """Requests in flight."""
        return len(self._running)

    @contextmanager
    def request(self, announced_bytes: int, most_tokens: int, *, bulk: bool = False) -> Iterator[Work]:
        """The way of one request, of at most `most_tokens`; at the end of the block its place is free again.

        Raises OverloadedError where there is no room for a body of the announced size. A place is taken once the body has come, so that
        slow uploads keep no other request out.
        """
        self._require_place(bulk=bulk)
        work = Work(self, bulk, most_tokens)
        self._require_room(work, _estimate(announced_bytes, most_tokens))
        self._require_memory(work, announced_bytes)
        try:
            yield work
        finally:
            self.held -= work.held
            if work in self._running:
                self._running.remove(work)
                self._stand_for(work, 0)

    def _hold(self, work: Work, body_bytes: int) -> None:
        self._require_memory(work, body_bytes)
        self.held += body_bytes - work.held
        work.held = body_bytes

    def _take_place(self, work: Work, tokens: int) -> None:
        self._require_place(bulk=work.bulk)
        self._require_room(work, tokens)
        self._running.add(work)
        self._stand_for(work, tokens)

    def _stand_for(self, work: Work, tokens: int) -> None:
        if self._left == 0:
            self.speed.begins()
        self.tokens += tokens - work.tokens
        self._left += tokens - work.left
        work.tokens = work.left = tokens

    def _computed(self, work: Work, tokens: int, engine_s: float) -> None:
        tokens = min(tokens, work.left)
        work.left -= tokens
        self._left -= tokens
        self.speed.computed(tokens, self._left, engine_s)

    def _share(self, *, bulk: bool) -> float:
        return _BULK_SHARE if bulk else 1.0

    def _require_place(self, *, bulk: bool) -> None:
        if self.requests and self.requests >= self._limits.requests * self._share(bulk=bulk):
            raise self._overloaded(f"{self.requests} requests are in flight, the most beside which another is admitted", self._left)

    def _require_room(self, work: Work, tokens: int) -> None:
        others = self.tokens - work.tokens
        if others and others + tokens > self._limits.tokens * self._share(bulk=work.bulk):
            raise self._overloaded(f"{others} tokens are in flight and {tokens} more would be too many", self._left - work.left)
        speed = self.speed.tokens_per_s
        if not speed:
            return
        requests, ahead = self._ahead(work, tokens)
        if requests <= _OTHERS:
            return
        own_s = tokens / speed
        may_wait_s = max(self._limits.wait_s, min(_OTHERS * own_s, self._limits.deadline_s - own_s))
        if ahead / speed > may_wait_s:
            raise self._overloaded(f"{ahead / speed:.3g} s of work are ahead, and this request may wait {may_wait_s:.3g} s", ahead)

    def _require_memory(self, work: Work, body_bytes: int) -> None:
        others = self.held - work.held
        if others and body_bytes > _SMALL_BYTES and others + body_bytes > self._limits.held_bytes:
            raise self._overloaded(f"bodies of {others} bytes are in flight and {body_bytes} more would be too many", self._left)

    def _ahead(self, work: Work, tokens: int) -> tuple[int, int]:
        """The requests that such work may have to wait for, and those of their tokens that are computed before it is done.

        Each other request counts for at most the larger of `tokens` and `under_way`: the model's scheduler takes smaller calls first.
        Bulk work gives way.
        """
        most = max(tokens, self._limits.under_way)
        requests = ahead = 0
        for other in self._running:
            if other.left and other is not work and (work.bulk or not other.bulk):
                requests += 1
                ahead += other.left if other.left < most else most  # noqa: FURB136 (min() costs three times as much, for each request in flight)
        return requests, ahead

    def _overloaded(self, reason: str, ahead: int) -> OverloadedError:
        speed = self.speed.tokens_per_s
        seconds = min(max(math.ceil(ahead / speed), 1), _LONGEST_RETRY_S) if speed else 1
        return OverloadedError(f"{reason}; retry after {seconds} s", seconds)


def _estimate(body_bytes: int, most_tokens: int) -> int:
    return min(body_bytes // _BYTES_PER_TOKEN, most_tokens)
