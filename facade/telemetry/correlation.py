"""The current request: its id, and its trace if it has one.

Both are context variables, so that no function has to pass them on: the log, the calls to Triton and the spans of stages read them here.
Knows no HTTP, and not how spans are exported.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol


class Trace(Protocol):
    """The trace that a request is part of."""

    def span(self, name: str) -> AbstractContextManager[object]:
        """A child span of the current one while the block runs."""
        ...

    def headers(self) -> Mapping[str, str]:
        """The headers by which another service joins its spans to this trace; empty if the trace is not recorded."""
        ...

    def ids(self) -> Mapping[str, str]:
        """The ids that connect a log line with this trace, by field name."""
        ...


_REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def working_for(request_id: str) -> Iterator[None]:
    """Set the id of the current request while the block runs."""
    token = _REQUEST_ID.set(request_id)
    try:
        yield
    finally:
        _REQUEST_ID.reset(token)


@contextmanager
def traced(trace: Trace) -> Iterator[None]:
    """Set the trace of the current request while the block runs."""
    token = _TRACE.set(trace)
    try:
        yield
    finally:
        _TRACE.reset(token)


def request_id() -> str:
    """The id of the current request; empty outside of requests, for example in a probe."""
    return _REQUEST_ID.get()


def span(name: str) -> AbstractContextManager[object]:
    """A span of the current trace while the block runs; no effect without a trace."""
    trace = _TRACE.get()
    return trace.span(name) if trace else nullcontext()


def headers() -> Mapping[str, str]:
    """The trace headers of a call to Triton."""
    trace = _TRACE.get()
    return trace.headers() if trace else {}


def ids() -> dict[str, str]:
    """The ids of a log line, by field name."""
    trace = _TRACE.get()
    known = {"request_id": request_id(), **(trace.ids() if trace else {})}
    return {name: value for name, value in known.items() if value}
