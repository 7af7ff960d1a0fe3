"""python -m pytest tests/unit/facade/telemetry/test_correlation.py

The request and the trace that code works for reach whatever is called for them, and nothing else.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from facade.telemetry import correlation


class Recorded:
    """A trace that remembers its spans."""

    def __init__(self) -> None:
        self.spans: list[str] = []

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        yield
        self.spans.append(name)

    def headers(self) -> Mapping[str, str]:
        return {"traceparent": "t"}

    def ids(self) -> Mapping[str, str]:
        return {"trace_id": "t"}


def test_outside_of_a_request_there_is_nothing() -> None:
    with correlation.span("nothing"):
        assert correlation.request_id() == ""
        assert correlation.headers() == {}
        assert correlation.ids() == {}


def test_within_a_request_its_id_and_its_trace_are_known() -> None:
    trace = Recorded()
    with correlation.working_for("r"), correlation.traced(trace), correlation.span("decode"):
        assert correlation.ids() == {"request_id": "r", "trace_id": "t"}
        assert correlation.headers() == {"traceparent": "t"}
    assert trace.spans == ["decode"]
    assert correlation.ids() == {}


async def test_requests_at_the_same_time_keep_apart_and_their_tasks_belong_to_them() -> None:
    both_are_in = asyncio.Barrier(2)

    async def work(name: str) -> tuple[str, str]:
        with correlation.working_for(name):
            await both_are_in.wait()

            async def inner() -> str:
                return correlation.request_id()

            return correlation.request_id(), await asyncio.create_task(inner())

    assert list(await asyncio.gather(work("a"), work("b"))) == [("a", "a"), ("b", "b")]
