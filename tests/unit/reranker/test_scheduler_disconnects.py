"""python -m pytest tests/unit/reranker/test_scheduler_disconnects.py

A call whose client has disconnected costs no more than the batch that already runs, and Triton is seldom asked about it.
"""

from threading import Event

from reranker.pool import Limits
from tests.unit.reranker.scheduling import WAIT_S, outcomes, rows_of, running, submit
from tests.unit.reranker.summing import Summing, row
from tests.unit.waiting import wait_until

ALWAYS = Limits(known_s=0.0)


def test_a_call_whose_client_has_disconnected_costs_nothing() -> None:
    engine = Summing()
    with running(engine, 10, limits=ALWAYS) as scheduler:
        gone = submit(scheduler, rows_of(10, 10, 10), gone=lambda: True)
        assert gone.result(WAIT_S) is None
        assert outcomes(submit(scheduler, [row(7)])) == [7.0]
    assert engine.shapes == [(1, 1)]


def test_a_call_whose_client_disconnects_in_the_middle_costs_the_batch_that_runs_and_no_other() -> None:
    engine = Summing()
    engine.free.clear()
    disconnected = Event()
    with running(engine, 10, limits=ALWAYS) as scheduler:
        call = submit(scheduler, rows_of(10, 10, 10), gone=disconnected.is_set)
        wait_until(lambda: engine.batches)
        disconnected.set()
        engine.free.set()
        assert call.result(WAIT_S) is None
        assert outcomes(submit(scheduler, [row(7)])) == [7.0]
    assert engine.shapes == [(1, 10), (1, 1)]


def test_a_client_is_not_asked_about_again_while_the_answer_is_recent() -> None:
    asked: list[int] = []

    def gone() -> bool:
        asked.append(1)
        return False

    with running(Summing(), 10, limits=Limits(known_s=3600.0)) as scheduler:
        outcomes(submit(scheduler, rows_of(10, 10, 10), gone=gone))
    assert asked == []
