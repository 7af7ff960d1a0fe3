"""Bounded work in flight, in requests and in tokens: what can't be answered in time is refused at once.

Never waits. Before the body is tokenised its bytes stand in for its tokens; afterwards the real count does. Knows no HTTP.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from facade.errors import OverloadedError

# English text has some four bytes to a token; other scripts have more bytes, so this errs towards letting work in to be counted.
_BYTES_PER_TOKEN = 4


@dataclass
class Ticket:
    """One admitted request and the tokens it answers for. Only `Admission` changes it."""

    tokens: int


class Admission:
    """At most `max_requests` and `max_tokens` in flight; a request that is bigger than `max_tokens` is let in when it is alone."""

    def __init__(self, max_requests: int, max_tokens: int) -> None:
        self._max_requests = max_requests
        self._max_tokens = max_tokens
        self.requests = 0
        self.tokens = 0

    @contextmanager
    def request(self, body_bytes: int) -> Iterator[Ticket]:
        """Admit one request for as long as the block runs. Raises OverloadedError when full."""
        if self.requests >= self._max_requests:
            raise OverloadedError(f"{self.requests} requests are in flight, the most this server takes; retry after a second")
        ticket = Ticket(0)
        self.requests += 1
        try:
            self.count(ticket, body_bytes // _BYTES_PER_TOKEN)
            yield ticket
        finally:
            self.requests -= 1
            self.tokens -= ticket.tokens

    def count(self, ticket: Ticket, tokens: int) -> None:
        """Let `ticket` stand for `tokens` from now on. Raises OverloadedError where that is more than there is room for."""
        others = self.tokens - ticket.tokens
        if others and others + tokens > self._max_tokens:
            raise OverloadedError(f"{others} tokens are in flight and {tokens} more would be too many; retry after a second")
        self.tokens = others + tokens
        ticket.tokens = tokens
