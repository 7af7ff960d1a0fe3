"""python -m pytest tests/unit/reranker/test_scheduler.py

Every call is answered once with its own outcomes; streams share the pool; batches keep the budget; small calls don't wait for large ones.
"""

from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.errors import ScoringError
from reranker.calls import Answer, Call
from reranker.scheduler import Scheduler
from tests.unit.reranker.scheduling import WAIT_S, held_up, outcomes, rows_of, running, submit
from tests.unit.reranker.summing import POISON, Summing, expected, row
from tests.unit.waiting import wait_until

IDS = st.lists(st.integers(1, 100), min_size=1, max_size=30)


@given(st.lists(st.lists(IDS, max_size=8), max_size=8), st.integers(1, 200), st.integers(1, 3))
def test_every_call_gets_the_outcomes_of_its_own_rows(drawn: list[list[list[int]]], budget: int, streams: int) -> None:
    calls = [[row(*ids) for ids in call] for call in drawn]
    engine = Summing(streams=streams)
    with running(engine, budget) as scheduler:
        answers = [submit(scheduler, call) for call in calls]
        assert [outcomes(answer) for answer in answers] == [[expected(each) for each in call] for call in calls]
    assert all(rows == 1 or rows * tokens <= budget for rows, tokens in engine.shapes)
    assert sum(rows for rows, _ in engine.shapes) == sum(map(len, calls))


def test_a_row_that_fails_fails_its_own_call_alone() -> None:
    with running(Summing()) as scheduler:
        bad, good = submit(scheduler, [row(1), row(POISON)]), submit(scheduler, [row(2)])
        assert outcomes(good) == [2.0]
        first, second = outcomes(bad)
        assert first == 1.0
        assert isinstance(second, ScoringError)


def test_rows_of_several_calls_share_a_batch() -> None:
    engine = Summing()
    with held_up(engine) as scheduler:
        waiting = [submit(scheduler, rows_of(20)) for _ in range(3)]
        engine.free.set()
        for answer in waiting:
            outcomes(answer)
    assert engine.shapes == [(1, 1), (3, 20)]


def test_a_small_call_overtakes_a_large_one() -> None:
    engine = Summing(batch_cost=0)
    with held_up(engine, 100) as scheduler:
        large = submit(scheduler, rows_of(*[50] * 40))  # 2,000 tokens: due in a fifth of a second
        small = submit(scheduler, rows_of(30, 31))
        engine.free.set()
        outcomes(small)
        outcomes(large)
    assert engine.shapes[1:4] == [(1, 30), (1, 31), (2, 50)]


def test_and_is_answered_by_one_batch_with_what_is_like_it() -> None:
    engine = Summing(batch_cost=20)
    with held_up(engine, 100) as scheduler:
        large = submit(scheduler, rows_of(*[12] * 100))
        small = submit(scheduler, rows_of(10, 25))  # beside 12 tokens, 10 alone would find mates
        engine.free.set()
        outcomes(small)
        outcomes(large)
    assert engine.shapes[1:3] == [(3, 25), (8, 12)]


def test_bulk_calls_wait_for_the_others_however_large_these_are() -> None:
    engine = Summing(batch_cost=0)
    with held_up(engine, 100) as scheduler:
        bulk = submit(scheduler, rows_of(20), bulk=True)
        large = submit(scheduler, rows_of(*[50] * 10))
        engine.free.set()
        outcomes(large)
        outcomes(bulk)
    assert engine.shapes == [(1, 1), *[(2, 50)] * 5, (1, 20)]


def test_an_answer_that_takes_long_keeps_no_stream_from_its_work() -> None:
    taken = Event()
    engine = Summing()

    def slow(_: Answer | None) -> None:
        taken.wait(WAIT_S)

    with running(engine) as scheduler:
        scheduler.submit(Call([row(1)], slow))
        wait_until(lambda: engine.batches)
        answer = submit(scheduler, [row(2)])
        wait_until(lambda: len(engine.batches) == 2)
        assert not answer.done()
        taken.set()
        assert outcomes(answer) == [2.0]


def test_a_call_without_rows_is_answered_at_once() -> None:
    with running(Summing()) as scheduler:
        assert outcomes(submit(scheduler, [])) == []


def test_tokens_are_counted_without_padding_and_with_it() -> None:
    counted: list[tuple[int, int]] = []
    with running(Summing(batch_cost=1000), counted=counted) as scheduler:
        outcomes(submit(scheduler, rows_of(10, 20, 17)))
    assert counted == [(47, 3 * 20 + 1)]  # as the engine says


def test_rows_are_planned_as_long_as_they_are_padded_but_not_beyond_the_limit() -> None:
    engine = Summing(step=100, batch_cost=1000)
    with running(engine, 2 * 512) as scheduler:
        outcomes(submit(scheduler, rows_of(501, 450, 3, 3)))
    assert sorted(engine.shapes) == [(2, 3), (2, 501)]


def test_the_seconds_are_those_of_the_engine_not_of_waiting() -> None:
    engine = Summing()
    engine.free.clear()
    with running(engine, 1) as scheduler:
        first = submit(scheduler, [row(1)])
        wait_until(lambda: engine.batches)
        second = submit(scheduler, [row(2)])
        with pytest.raises(TimeoutError):
            second.result(0.5)
        engine.free.set()
        answers = [answer.result(WAIT_S) for answer in (first, second)]
    assert answers[0] is not None
    assert answers[1] is not None
    assert answers[1].seconds < answers[0].seconds
    assert answers[0].seconds > 0.5


def test_closing_waits_for_what_was_submitted() -> None:
    scheduler = Scheduler(Summing(), 512, 10)
    answers = [submit(scheduler, rows_of(10)) for _ in range(20)]
    scheduler.close()
    assert all(answer.done() for answer in answers)
