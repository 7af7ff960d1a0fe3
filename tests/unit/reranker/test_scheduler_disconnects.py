"""python -m pytest tests/unit/reranker/test_scheduler_disconnects.py

A call whose client has disconnected costs no more than the batch that runs, and no stream waits to be told of it.
"""

from threading import Event, Semaphore

from reranker.pool import Limits
from tests.unit.reranker.scheduling import WAIT_S, outcomes, rows_of, running, submit
from tests.unit.reranker.summing import Summing, row
from tests.unit.waiting import wait_until

AT_ONCE = Limits(known_s=0.0)


def test_a_call_whose_client_disconnects_costs_the_batch_that_runs_and_no_other() -> None:
    engine = Summing()
    engine.free.clear()
    with running(engine, 10, limits=AT_ONCE) as scheduler:
        call = submit(scheduler, rows_of(10, 10, 10), gone=lambda: True)
        assert call.result(WAIT_S) is None  # while its first batch runs
        other = submit(scheduler, [row(7)])
        engine.free.set()
        assert outcomes(other) == [7.0]
    assert engine.shapes == [(1, 10), (1, 1)]


def test_a_call_that_is_next_costs_nothing_where_its_client_has_disconnected() -> None:
    engine = Summing()
    steps = Semaphore(0)
    engine.free.wait = lambda timeout=None: steps.acquire(timeout=timeout)  # type: ignore[method-assign]
    with running(engine, 20, limits=AT_ONCE) as scheduler:
        calls = [submit(scheduler, [row(1)])]
        wait_until(lambda: engine.batches)
        calls.append(submit(scheduler, rows_of(5)))
        gone = submit(scheduler, rows_of(19), gone=lambda: True)
        steps.release()
        assert gone.result(WAIT_S) is None  # while the batch before it runs
        steps.release()
        assert [len(outcomes(call)) for call in calls] == [1, 1]
    assert engine.shapes == [(1, 1), (1, 5)]


def test_a_stream_does_not_wait_for_the_question() -> None:
    asked, answered = Event(), Event()

    def gone() -> bool:
        asked.set()
        return not answered.wait(WAIT_S)

    engine = Summing()
    with running(engine, 10, limits=AT_ONCE) as scheduler:
        engine.free.clear()
        call = submit(scheduler, rows_of(10, 10, 10), gone=gone)
        assert asked.wait(WAIT_S)
        engine.free.set()
        assert len(outcomes(call)) == 3
        answered.set()


def test_a_client_is_not_asked_about_again_while_the_answer_is_recent() -> None:
    asked: list[int] = []

    def gone() -> bool:
        asked.append(1)
        return False

    with running(Summing(), 10, limits=Limits(known_s=3600.0)) as scheduler:
        outcomes(submit(scheduler, rows_of(10, 10, 10), gone=gone))
    assert asked == []
