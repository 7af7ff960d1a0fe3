"""python -m pytest tests/unit/reranker/test_scheduler_leaving.py

A call whose caller left costs no more than the batch that already runs, and whether it left is seldom asked.
"""

from threading import Event

import pytest

from tests.unit.reranker.scheduling import WAIT_S, outcomes, rows_of, running, submit
from tests.unit.reranker.summing import Summing, row
from tests.unit.waiting import wait_until


def test_a_call_whose_caller_left_costs_nothing_and_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reranker.scheduler.KNOWN_S", 0.0)
    engine = Summing()
    with running(engine, 10) as scheduler:
        left = submit(scheduler, rows_of(10, 10, 10), gone=lambda: True)
        assert left.result(WAIT_S) is None
        assert outcomes(submit(scheduler, [row(7)])) == [7.0]
    assert engine.shapes == [(1, 1)]


def test_a_call_whose_caller_leaves_in_the_middle_costs_the_batch_that_runs_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Summing()
    engine.free.clear()
    left = Event()
    monkeypatch.setattr("reranker.scheduler.KNOWN_S", 0.0)
    with running(engine, 10) as scheduler:
        call = submit(scheduler, rows_of(10, 10, 10), gone=left.is_set)
        wait_until(lambda: engine.batches)
        left.set()
        engine.free.set()
        assert call.result(WAIT_S) is None
        assert outcomes(submit(scheduler, [row(7)])) == [7.0]
    assert engine.shapes == [(1, 10), (1, 1)]


def test_whether_a_caller_left_is_not_asked_again_while_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("reranker.scheduler.KNOWN_S", 3600.0)
    with running(Summing(), 10) as scheduler:
        outcomes(submit(scheduler, rows_of(10, 10, 10), gone=lambda: bool(asked.append(1))))
    assert asked == []
