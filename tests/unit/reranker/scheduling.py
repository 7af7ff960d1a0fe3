"""A scheduler over an engine of the test's own, calls to it, and what they were answered."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

from facade.errors import ScoringError
from facade.reranking.tensors import Row
from reranker.calls import Answer, Call
from reranker.pool import Limits
from reranker.scheduler import Scheduler
from tests.unit.reranker.summing import Summing, row
from tests.unit.waiting import wait_until

WAIT_S = 60.0


@contextmanager
def running(
    engine: Summing,
    token_budget: int = 1 << 20,
    counted: list[tuple[int, int]] | None = None,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> Iterator[Scheduler]:
    counts = [] if counted is None else counted
    scheduler = Scheduler(engine, 512, token_budget, lambda _, tokens, computed: counts.append((tokens, computed)), limits=limits)
    try:
        yield scheduler
    finally:
        engine.free.set()
        scheduler.close()


@contextmanager
def held_up(engine: Summing, token_budget: int = 1 << 20) -> Iterator[Scheduler]:
    """With a row of one token in the engine, which holds on to it until `engine.free`: what comes meanwhile waits."""
    engine.free.clear()
    with running(engine, token_budget) as scheduler:
        submit(scheduler, [row(1)])
        wait_until(lambda: engine.batches)
        yield scheduler


def submit(
    scheduler: Scheduler, rows: Sequence[Row], *, gone: Callable[[], bool] = lambda: False, bulk: bool = False
) -> "Future[Answer | None]":
    answered: Future[Answer | None] = Future()
    scheduler.submit(Call(rows, answered.set_result, gone, bulk))
    return answered


def outcomes(answered: "Future[Answer | None]") -> list[float | ScoringError]:
    answer = answered.result(WAIT_S)
    assert answer is not None
    return answer.outcomes


def rows_of(*lengths: int) -> list[Row]:
    return [row(*range(1, length + 1)) for length in lengths]
