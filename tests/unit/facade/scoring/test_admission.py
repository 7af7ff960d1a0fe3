"""python -m pytest tests/unit/facade/scoring/test_admission.py

Never over the bounds, whatever comes and goes in whatever order, and nothing kept after it has gone; no request waits longer than is
allowed at the speed that is measured, nine clients are never refused for it, and bulk work gives way.
"""

from contextlib import AbstractContextManager, ExitStack
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from facade.errors import OverloadedError, ScoringError
from facade.scoring.admission import Admission, Limits, Work
from facade.scoring.speed import Speed

MIB = 1 << 20
REQUESTS, TOKENS = 4, 100
MOST = 1_000_000  # tokens that truncation leaves of a request, where a test isn't about them
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


# seconds


class Known(Speed):
    """A speed that is known from the start."""

    def __init__(self, tokens_per_s: float) -> None:
        super().__init__()
        self.tokens_per_s = tokens_per_s


def admission(**limits: float) -> Admission:
    """At 100 tokens a second and with 4 seconds of patience: 400 tokens may be ahead of what brings no more than 50."""
    return Admission(Limits(**{"requests": 100, "tokens": 1_000_000, "wait_s": 4.0, **limits}), Known(100.0))  # type: ignore[arg-type]


def come(stack: ExitStack, to: Admission, tokens: int, *, bulk: bool = False) -> Work:
    work = stack.enter_context(to.request(4 * tokens, MOST, bulk=bulk))
    work.received(4 * tokens)
    return work


def unknown(stack: ExitStack, to: Admission, requests: int, tokens: int) -> None:
    """Requests that came while the speed was unknown, so that seconds did not bound them."""
    to.speed.tokens_per_s, known = None, to.speed.tokens_per_s
    for _ in range(requests):
        come(stack, to, tokens)
    to.speed.tokens_per_s = known


def test_a_request_with_more_seconds_of_work_ahead_than_allowed_is_refused_with_the_time_to_retry_after() -> None:
    gate = admission()
    with ExitStack() as stack:
        for _ in range(11):
            come(stack, gate, 40)
        with pytest.raises(OverloadedError, match=r"4\.4 s of work are ahead, and this request may wait 4 s; retry after 5 s") as refusal:
            come(stack, gate, 40)
        assert refusal.value.retry_after_s == 5
    come(ExitStack(), gate, 40)


def test_what_has_been_computed_is_not_waited_for() -> None:
    gate = admission()
    with ExitStack() as stack:
        works = [come(stack, gate, 40) for _ in range(11)]
        works[0].computed(30, 0.1)
        works[1].computed(30, 0.1)
        come(stack, gate, 40)


def test_a_small_request_waits_for_no_more_of_a_large_one_than_is_under_way() -> None:
    gate = admission(under_way=50)
    with ExitStack() as stack:
        come(stack, gate, 10_000)
        for _ in range(36):
            come(stack, gate, 10)
        with pytest.raises(OverloadedError, match=r"4\.1 s of work are ahead"):
            come(stack, gate, 10)


def test_a_request_may_wait_eight_times_as_long_as_its_own_work_takes() -> None:
    gate = admission()
    with ExitStack() as stack:
        unknown(stack, gate, 16, 500)
        come(stack, gate, 1_000)
        with pytest.raises(OverloadedError, match="90 s of work are ahead, and this request may wait 80 s"):
            come(stack, gate, 1_000)


def test_a_request_that_may_wait_for_its_own_works_sake_has_to_be_done_by_its_deadline() -> None:
    gate = admission(deadline_s=60.0)
    with ExitStack() as stack:
        unknown(stack, gate, 9, 500)
        come(stack, gate, 1_000)
        with pytest.raises(OverloadedError, match="55 s of work are ahead, and this request may wait 50 s"):
            come(stack, gate, 1_000)
        come(stack, gate, 40)


SIZES = st.integers(1, 512 * 512)


@given(
    sizes=st.lists(st.lists(SIZES, min_size=1, max_size=4), min_size=9, max_size=9),
    model=st.sampled_from([10.0, 1_000.0, 50_000.0]),
    believed=st.sampled_from([None, 0.01, 1.0, 100.0]),
    choices=st.randoms(use_true_random=False),
)
def test_nine_clients_in_a_closed_loop_are_never_refused(
    sizes: list[list[int]], model: float, believed: float | None, choices: Random
) -> None:
    """Whatever their sizes, whatever order the model computes them in, and whatever its speed is taken for, wrongly at first."""
    gate = admission(tokens=1 << 40, deadline_s=120.0, under_way=8_192)
    gate.speed.tokens_per_s = believed and believed * model
    requests = [iter(client) for client in sizes]
    running: dict[int, tuple[AbstractContextManager[Work], Work]] = {}

    def ask(client: int) -> None:
        tokens = next(requests[client], None)
        if tokens is not None:
            estimate = choices.randint(0, 8 * tokens)
            request = gate.request(estimate, 512 * 512)
            work = request.__enter__()
            running[client] = request, work
            work.received(estimate)
            work.bound(512 * 512)
            work.count(tokens)

    for client in range(9):
        ask(client)
    while running:
        client = choices.choice(list(running))
        request, work = running[client]
        work.computed(4_096, 4_096 / model)
        if not work.left:
            del running[client]
            request.__exit__(None, None, None)
            ask(client)


def test_the_tenth_of_equal_clients_is_refused_where_the_others_take_longer_than_is_allowed() -> None:
    gate = admission()
    with ExitStack() as stack:
        for _ in range(9):
            come(stack, gate, 500)
        with pytest.raises(OverloadedError, match="45 s of work are ahead, and this request may wait 40 s"):
            come(stack, gate, 500)


def test_a_request_never_stands_for_more_than_truncation_leaves_of_it() -> None:
    gate = admission(tokens=1_000)
    with ExitStack() as stack:
        come(stack, gate, 100)
        with pytest.raises(OverloadedError):
            stack.enter_context(gate.request(5_000_000, 901))
        work = stack.enter_context(gate.request(5_000_000, 900))
        work.received(5_000_000)
        assert work.tokens == 900
        work.bound(200)
        assert (work.tokens, gate.tokens) == (200, 300)
        work.bound(400)
        assert work.tokens == 200


def test_while_the_speed_is_unknown_seconds_bound_nothing() -> None:
    gate = Admission(Limits(100, 1_000_000, 4.0))
    with ExitStack() as stack:
        for _ in range(100):
            come(stack, gate, 1_000)
        with pytest.raises(OverloadedError, match="retry after 1 s"):
            come(stack, gate, 1_000)


def test_a_refused_caller_comes_back_within_half_a_minute() -> None:
    gate = admission(tokens=5_000)
    with ExitStack() as stack:
        come(stack, gate, 5_000)
        with pytest.raises(OverloadedError) as refusal:
            come(stack, gate, 1)
    assert refusal.value.retry_after_s == 30


def test_a_body_that_there_is_no_room_for_is_refused_before_it_comes_and_one_that_is_on_its_way_takes_no_place() -> None:
    gate = admission()
    with ExitStack() as stack:
        for _ in range(11):
            come(stack, gate, 40)
        with pytest.raises(OverloadedError), gate.request(160, MOST):
            pytest.fail("was let in")
        assert gate.requests == 11
    with gate.request(160, MOST):
        assert (gate.requests, gate.tokens) == (0, 0)


def test_a_body_for_which_there_is_no_room_once_it_has_come_is_refused() -> None:
    gate = admission(tokens=100)
    with ExitStack() as stack:
        late = stack.enter_context(gate.request(240, MOST))
        come(stack, gate, 60)
        with pytest.raises(OverloadedError):
            late.received(240)
        assert (gate.requests, gate.tokens) == (1, 60)


# bulk


def test_interactive_requests_do_not_wait_for_bulk_ones_but_these_for_all() -> None:
    gate = admission()
    with ExitStack() as stack:
        for _ in range(11):
            come(stack, gate, 40, bulk=True)
        with pytest.raises(OverloadedError):
            come(stack, gate, 40, bulk=True)
        for _ in range(11):
            come(stack, gate, 40)
        with pytest.raises(OverloadedError):
            come(stack, gate, 40)


@pytest.mark.parametrize("limits", [{"requests": 10}, {"tokens": 100}], ids=["requests", "tokens"])
def test_bulk_requests_leave_half_of_the_places_to_the_others(limits: dict[str, float]) -> None:
    gate = admission(**limits)
    with ExitStack() as stack:
        for _ in range(5):
            come(stack, gate, 10, bulk=True)
        with pytest.raises(OverloadedError):
            come(stack, gate, 10, bulk=True)
        for _ in range(5):
            come(stack, gate, 10)


# bytes


def test_the_bytes_of_bodies_count_while_they_come_and_are_bounded() -> None:
    gate = admission(held_bytes=10 * MIB)
    with ExitStack() as stack:
        first, second = (stack.enter_context(gate.request(0, MOST)) for _ in range(2))
        for size in (2 * MIB, 7 * MIB):
            first.hold(size)
        second.hold(3 * MIB)
        assert gate.held == 10 * MIB
        with pytest.raises(OverloadedError, match=f"bodies of {7 * MIB} bytes are in flight"):
            second.hold(3 * MIB + 1)
        with pytest.raises(OverloadedError):
            stack.enter_context(gate.request(2 * MIB, MOST))  # as its head announces
        stack.enter_context(gate.request(MIB, MOST)).hold(MIB)  # a small one is let in
    assert gate.held == 0


def test_a_body_larger_than_the_bound_is_let_in_alone() -> None:
    gate = admission(held_bytes=MIB)
    with gate.request(9 * MIB, MOST) as work:
        work.hold(9 * MIB)
        assert gate.held == 9 * MIB
