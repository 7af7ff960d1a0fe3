"""python -m pytest tests/unit/reranker/test_pool.py

Rows leave the pool in the order in which they are due, with those most like them; its limits bound what waits.
"""

from reranker.calls import Call
from reranker.pool import Limits, Pool
from tests.unit.reranker.scheduling import rows_of
from tests.unit.reranker.summing import Summing


def call(*lengths: int, bulk: bool = False) -> Call:
    return Call(rows_of(*lengths), lambda _: None, bulk=bulk)


def pool_of(engine: Summing, token_budget: int, limits: Limits = Limits()) -> Pool:  # noqa: B008 (frozen)
    return Pool(engine, 512, token_budget, limits)


def taken(pool: Pool, idle: int = 1) -> list[int]:
    return [row.length for row in pool.take(idle)]


def test_little_work_is_shared_by_all_idle_streams() -> None:
    pool = pool_of(Summing(streams=4), 1000)
    pool.add(call(*[10] * 8), 0.0)
    assert [taken(pool, idle) for idle in (4, 3, 2, 1)] == [[10, 10]] * 4


def test_a_small_call_overtakes_a_large_one_until_that_is_due() -> None:
    engine = Summing(batch_cost=0, patience_s=0.001)
    pool = pool_of(engine, 100)
    pool.add(call(50, 50), 0.0)  # due at 0.1 s
    pool.add(call(30), 0.06)  # due at 0.09 s
    pool.add(call(31), 0.08)  # due at 0.111 s
    assert [taken(pool) for _ in range(3)] == [[30], [50, 50], [31]]


def test_a_call_that_is_removed_leaves_none_of_its_rows() -> None:
    pool = pool_of(Summing(), 20)
    one, other = call(10, 10), call(5)
    pool.add(one, 0.0)
    pool.add(other, 0.0)
    pool.remove(one)
    assert pool.tokens() == 5
    assert taken(pool) == [5]


def test_bulk_calls_wait_beside_a_full_pool_and_are_bounded_by_themselves() -> None:
    pool = pool_of(Summing(), 10, Limits(batches=2, bulk_tokens=30))
    for _ in range(4):  # two in the pool, two beside it
        pool.add(call(10, bulk=True), 0.0)
    assert pool.has_room()
    assert pool.tokens() == 40
    pool.add(call(10, bulk=True), 0.0)
    assert not pool.has_room()
