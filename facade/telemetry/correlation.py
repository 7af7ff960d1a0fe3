"""Which request the running code works for: its id, and its trace, where there is one.

Both are ambient (context variables), so that what lies between need not hand them on: the log, the call to Triton and the stages' spans
take them from here. Knows no HTTP, and nothing of how traces are made.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol


class Trace(Protocol):
    """The trace that a request is part of."""

    def span(self, name: str) -> AbstractContextManager[object]:
        """A span below the current one, for as long as the block runs."""
        ...

    def headers(self) -> Mapping[str, str]:
        """What a call to somebody else carries, so that his spans join; empty where this trace is not recorded."""
        ...

    def ids(self) -> Mapping[str, str]:
        """The ids by which a log line is found from its trace."""
        ...


_REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def working_for(request_id: str) -> Iterator[None]:
    """Says which request the block works for."""
    token = _REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        _REQUEST_ID.reset(token)


@contextmanager
def traced(trace: Trace) -> Iterator[None]:
    """Says which trace the block is part of."""
    token = _TRACE.set(trace)
    try:
        yield
    finally:
        _TRACE.reset(token)


def request_id() -> str:
    """The id of the request that is worked for; empty where it is none, as for a probe."""
    return _REQUEST_ID.get()


def span(name: str) -> AbstractContextManager[object]:
    """A span of the request's trace; nothing where there is none."""
    trace = _TRACE.get()
    return trace.span(name) if trace else nullcontext()


def headers() -> Mapping[str, str]:
    """What a call to Triton carries of the trace."""
    trace = _TRACE.get()
    return trace.headers() if trace else {}


def ids() -> dict[str, str]:
    """Everything by which a line of the log is found, by its field's name."""
    trace = _TRACE.get()
    known = {"request_id": request_id(), **(trace.ids() if trace else {})}
    return {name: value for name, value in known.items() if value}
