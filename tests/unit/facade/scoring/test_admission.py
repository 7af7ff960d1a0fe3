"""python -m pytest tests/unit/facade/scoring/test_admission.py

Never over the bounds in requests and tokens, whatever comes and goes in whatever order, and nothing kept after it has gone. Bounds in
seconds: test_admission_waits.py.
"""

from contextlib import AbstractContextManager, ExitStack

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from facade.errors import OverloadedError, ScoringError
from facade.scoring.admission import Admission, Limits, Work
from tests.unit.facade.scoring.requests import MOST, come

REQUESTS, TOKENS = 4, 100
# Bytes stand for a quarter of their number in tokens; one request may be bigger than the bound.
BYTES = st.integers(0, 6 * TOKENS)


class Traffic(RuleBasedStateMachine):
    """Requests that come, are counted, and go, well or not, beside a model of what is in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = Admission(Limits(REQUESTS, TOKENS))
        self.running: list[tuple[AbstractContextManager[Work], Work]] = []

    def room(self, tokens: int, others: int) -> bool:
        return others == 0 or others + tokens <= TOKENS

    @rule(body_bytes=BYTES)
    def come(self, body_bytes: int) -> None:
        fits = len(self.running) < REQUESTS and self.room(body_bytes // 4, self.admission.tokens)
        request = self.admission.request(0, MOST)
        if fits:
            work = request.__enter__()
            work.received(body_bytes)
            self.running.append((request, work))
            assert work.tokens == body_bytes // 4
        else:
            with pytest.raises(OverloadedError), request as work:
                work.received(body_bytes)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), tokens=st.integers(0, 2 * TOKENS))
    def count(self, data: st.DataObject, tokens: int) -> None:
        _, work = data.draw(st.sampled_from(self.running))
        before = work.tokens
        if self.room(tokens, sum(other.tokens for _, other in self.running if other is not work)):
            work.count(tokens)
            assert work.tokens == tokens
        else:
            with pytest.raises(OverloadedError):
                work.count(tokens)
            assert work.tokens == before

    @precondition(lambda self: self.running)
    @rule(data=st.data(), tokens=st.integers(0, 2 * TOKENS))
    def compute(self, data: st.DataObject, tokens: int) -> None:
        _, work = data.draw(st.sampled_from(self.running))
        before = work.left
        work.computed(tokens, 0.1)
        assert work.left == max(before - tokens, 0)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), fails=st.booleans())
    def go(self, data: st.DataObject, fails: bool) -> None:
        index = data.draw(st.integers(0, len(self.running) - 1))
        request, _ = self.running.pop(index)
        error = ScoringError("failed") if fails else None
        assert not request.__exit__(type(error) if error else None, error, None)

    @invariant()
    def bounds_are_kept(self) -> None:
        holders = [work for _, work in self.running if work.tokens]
        assert self.admission.requests <= REQUESTS
        assert self.admission.tokens <= TOKENS or len(holders) == 1

    @invariant()
    def counts_are_those_of_the_running_requests(self) -> None:
        assert self.admission.requests == len(self.running)
        assert self.admission.tokens == sum(work.tokens for _, work in self.running)

    def teardown(self) -> None:
        while self.running:
            self.running.pop()[0].__exit__(None, None, None)
        assert (self.admission.requests, self.admission.tokens) == (0, 0)


TestTraffic = Traffic.TestCase


def test_the_request_beyond_the_last_is_refused_at_once_and_leaves_no_trace() -> None:
    admission = Admission(Limits(1, 1000))
    with ExitStack() as stack:
        come(stack, admission, 0)
        with pytest.raises(OverloadedError, match="1 requests are in flight"), admission.request(0, MOST):
            pytest.fail("was let in")
    with ExitStack() as stack:
        come(stack, admission, 0)
        assert admission.requests == 1
    assert admission.requests == 0


def test_a_request_bigger_than_the_bound_is_let_in_alone_and_no_other_beside_it() -> None:
    admission = Admission(Limits(10, 100))
    with ExitStack() as stack:
        assert come(stack, admission, 1000).tokens == 1000
        with pytest.raises(OverloadedError, match="1000 tokens are in flight"), admission.request(4, MOST):
            pytest.fail("was let in")
    assert admission.tokens == 0


def test_bytes_make_room_once_the_tokens_are_counted() -> None:
    admission = Admission(Limits(10, 100))
    with ExitStack() as stack:
        come(stack, admission, 100).count(40)
        second = come(stack, admission, 60)
        assert admission.tokens == 100
        with pytest.raises(OverloadedError):
            second.count(61)
        assert admission.tokens == 100
    assert admission.tokens == 0


@pytest.mark.parametrize("error", [ScoringError("failed"), KeyboardInterrupt(), ValueError()])
def test_everything_is_given_back_after_an_error(error: BaseException) -> None:
    admission = Admission(Limits(2, 100))

    def fail() -> None:
        with admission.request(40, MOST) as work:
            work.received(40)
            work.count(25)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (admission.requests, admission.tokens) == (0, 0)
