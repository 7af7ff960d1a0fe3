"""python -m pytest tests/unit/facade/test_admission.py

Never over the bounds, whatever comes and goes in whatever order, and nothing kept after it has gone.
"""

from contextlib import AbstractContextManager

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from facade.admission import Admission, Ticket
from facade.errors import OverloadedError, ScoringError

REQUESTS, TOKENS = 4, 100
# Bytes stand for a quarter of their number in tokens; one request may be bigger than the bound.
BYTES = st.integers(0, 6 * TOKENS)


class Traffic(RuleBasedStateMachine):
    """Requests that come, are counted, and go, well or not, beside a model of what is in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(REQUESTS, TOKENS)
        self.running: list[tuple[AbstractContextManager[Ticket], Ticket]] = []

    def room(self, tokens: int, others: int) -> bool:
        return others == 0 or others + tokens <= TOKENS

    @rule(body_bytes=BYTES)
    def come(self, body_bytes: int) -> None:
        fits = len(self.running) < REQUESTS and self.room(body_bytes // 4, self.admission.tokens)
        request = self.admission.request(body_bytes)
        if fits:
            self.running.append((request, request.__enter__()))
            assert self.running[-1][1].tokens == body_bytes // 4
        else:
            with pytest.raises(OverloadedError):
                request.__enter__()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), tokens=st.integers(0, 2 * TOKENS))
    def count(self, data: st.DataObject, tokens: int) -> None:
        _, ticket = data.draw(st.sampled_from(self.running))
        before = ticket.tokens
        if self.room(tokens, sum(other.tokens for _, other in self.running if other is not ticket)):
            self.admission.count(ticket, tokens)
            assert ticket.tokens == tokens
        else:
            with pytest.raises(OverloadedError):
                self.admission.count(ticket, tokens)
            assert ticket.tokens == before

    @precondition(lambda self: self.running)
    @rule(data=st.data(), fails=st.booleans())
    def go(self, data: st.DataObject, fails: bool) -> None:
        index = data.draw(st.integers(0, len(self.running) - 1))
        request, _ = self.running.pop(index)
        error = ScoringError("failed") if fails else None
        assert not request.__exit__(type(error) if error else None, error, None)

    @invariant()
    def bounds_are_kept(self) -> None:
        holders = [ticket for _, ticket in self.running if ticket.tokens]
        assert self.admission.requests <= REQUESTS
        assert self.admission.tokens <= TOKENS or len(holders) == 1

    @invariant()
    def counts_are_those_of_the_running_requests(self) -> None:
        assert self.admission.requests == len(self.running)
        assert self.admission.tokens == sum(ticket.tokens for _, ticket in self.running)

    def teardown(self) -> None:
        while self.running:
            self.running.pop()[0].__exit__(None, None, None)
        assert (self.admission.requests, self.admission.tokens) == (0, 0)


TestTraffic = Traffic.TestCase


def test_the_request_beyond_the_last_is_refused_at_once_and_leaves_no_trace() -> None:
    admission = Admission(1, 1000)
    with admission.request(0), pytest.raises(OverloadedError, match="1 requests are in flight"), admission.request(0):
        pytest.fail("was let in")
    with admission.request(0):
        assert admission.requests == 1
    assert admission.requests == 0


def test_a_request_bigger_than_the_bound_is_let_in_alone_and_nobody_beside_it() -> None:
    admission = Admission(10, 100)
    with admission.request(4000) as ticket:
        assert ticket.tokens == 1000
        with pytest.raises(OverloadedError, match="1000 tokens are in flight"), admission.request(4):
            pytest.fail("was let in")
    assert admission.tokens == 0


def test_bytes_make_room_once_the_tokens_are_counted() -> None:
    admission = Admission(10, 100)
    with admission.request(400) as first:
        admission.count(first, 40)
        with admission.request(240) as second:
            assert admission.tokens == 100
            with pytest.raises(OverloadedError):
                admission.count(second, 61)
            assert admission.tokens == 100
    assert admission.tokens == 0


@pytest.mark.parametrize("error", [ScoringError("failed"), KeyboardInterrupt(), ValueError()])
def test_everything_is_given_back_after_an_error(error: BaseException) -> None:
    admission = Admission(2, 100)

    def fail() -> None:
        with admission.request(40) as ticket:
            admission.count(ticket, 25)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (admission.requests, admission.tokens) == (0, 0)
