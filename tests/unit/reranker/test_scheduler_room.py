"""python -m pytest tests/unit/reranker/test_scheduler_room.py

The pool takes in what keeps the streams busy, and bulk calls wait beside it.
"""

from threading import Thread

from reranker.pool import Limits
from reranker.scheduler import Scheduler
from tests.unit.reranker.scheduling import WAIT_S, held_up, outcomes, rows_of, running, submit
from tests.unit.reranker.summing import Summing
from tests.unit.waiting import wait_until


def assert_no_room_until_free(scheduler: Scheduler, engine: Summing) -> None:
    waiting = Thread(target=scheduler.wait_for_room)
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    engine.free.set()
    waiting.join(WAIT_S)
    assert not waiting.is_alive()


def test_the_pool_takes_no_more_than_keeps_the_streams_busy() -> None:
    engine = Summing()
    engine.free.clear()
    with running(engine, 10, limits=Limits(batches=2)) as scheduler:
        answer = submit(scheduler, rows_of(10, 10, 10, 10))  # one in the engine, three in the pool: more than two
        wait_until(lambda: engine.batches)
        assert_no_room_until_free(scheduler, engine)
        outcomes(answer)


def test_bulk_calls_that_the_pool_has_no_room_for_keep_no_other_call_waiting() -> None:
    engine = Summing(batch_cost=0)
    with held_up(engine, 10) as scheduler:
        bulk = [submit(scheduler, rows_of(10), bulk=True) for _ in range(50)]
        assert scheduler.waiting_tokens() == 50 * 10
        scheduler.wait_for_room()
        interactive = submit(scheduler, rows_of(9))
        engine.free.set()
        outcomes(interactive)
        for each in bulk:
            outcomes(each)
    assert engine.shapes == [(1, 1), (1, 9), *[(1, 10)] * 50]


def test_bulk_calls_beyond_their_limit_wait_in_tritons_queue() -> None:
    engine = Summing()
    engine.free.clear()
    with running(engine, 10, limits=Limits(batches=2, bulk_tokens=100)) as scheduler:
        bulk = [submit(scheduler, rows_of(10), bulk=True) for _ in range(13)]  # one in the engine, two in the pool
        assert_no_room_until_free(scheduler, engine)
        for each in bulk:
            outcomes(each)
