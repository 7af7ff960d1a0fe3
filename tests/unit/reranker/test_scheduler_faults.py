"""python -m pytest tests/unit/reranker/test_scheduler_faults.py

An unexpected exception fails at most its batch: every call is answered, and the stream takes the next batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from facade.errors import ScoringError
from facade.reranking.tensors import Logits, Row
from reranker.calls import Call
from reranker.pool import Limits
from reranker.scheduler import Scheduler
from tests.unit.reranker.scheduling import outcomes, submit
from tests.unit.reranker.summing import POISON, Summing, row

SPOILS = 30_003


@dataclass
class Faulty(Summing):
    """An engine that gives the logits of a batch with SPOILS in it to `spoil`."""

    spoil: Callable[[Logits], Logits] = lambda logits: logits

    def infer(self, rows: Sequence[Row]) -> Logits:
        logits = super().infer(rows)
        return self.spoil(logits) if any(SPOILS in row.input_ids for row in rows) else logits


def exits(_: Logits) -> Logits:
    raise SystemExit("a library ends its thread")


class Unreadable(list[Row]):
    """Rows that can be measured when they are submitted, and can't be read afterwards."""

    def __getitem__(self, _: Any) -> Any:
        raise RuntimeError("planted")


def fails(*_: object) -> Any:
    raise RuntimeError("planted")


@pytest.fixture
def failures() -> list[int]:
    """One entry for each failed batch that was counted."""
    return []


def start(engine: Summing, failures: list[int], counted: Callable[[int, int, int], None] = lambda *_: None) -> Scheduler:
    return Scheduler(engine, 512, 1 << 20, counted, lambda: failures.append(1))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda logits: np.append(logits, np.float32(0)),
        lambda logits: logits[:-1],
        lambda logits: logits[:, None],
        lambda _: np.float32(1.0),
    ],
    ids=["one too many", "one too few", "a column", "a number"],
)
def test_logits_that_are_not_one_a_row_fail_the_row_that_brings_it_about(spoil: Callable[[Logits], Logits], failures: list[int]) -> None:
    scheduler = start(Faulty(spoil=spoil), failures)
    faulty, *mates = outcomes(submit(scheduler, [row(SPOILS), row(2), row(3)]))
    assert isinstance(faulty, ScoringError)
    assert mates == [2.0, 3.0]
    assert outcomes(submit(scheduler, [row(4)])) == [4.0]
    scheduler.close()
    assert failures == [1]


def test_what_would_end_the_thread_fails_the_batch_as_a_whole(failures: list[int]) -> None:
    scheduler = start(Faulty(spoil=exits), failures)
    refused = outcomes(submit(scheduler, [row(SPOILS), row(2)]))
    assert [type(outcome) for outcome in refused] == [ScoringError] * 2
    assert outcomes(submit(scheduler, [row(4)])) == [4.0]
    scheduler.close()
    assert failures == [1]


def test_a_row_that_can_not_be_scored_counts_its_batch_as_failed(failures: list[int]) -> None:
    scheduler = start(Summing(), failures)
    outcomes(submit(scheduler, [row(1), row(POISON)]))
    outcomes(submit(scheduler, [row(1)]))
    scheduler.close()
    assert failures == [1]


def test_a_call_of_which_it_is_not_known_whether_its_client_has_disconnected_is_answered(failures: list[int]) -> None:
    scheduler = Scheduler(Summing(), 512, 1, failed=lambda: failures.append(1), limits=Limits(known_s=0.0))
    assert outcomes(submit(scheduler, [row(1), row(2)], gone=fails)) == [1.0, 2.0]
    assert outcomes(submit(scheduler, [row(3)])) == [3.0]
    scheduler.close()
    assert failures == []


def test_counts_that_can_not_be_taken_fail_no_call(failures: list[int]) -> None:
    scheduler = start(Summing(), failures, fails)
    assert outcomes(submit(scheduler, [row(1)])) == [1.0]
    assert outcomes(submit(scheduler, [row(2)])) == [2.0]
    scheduler.close()


def test_an_engine_that_can_not_say_what_it_computed_fails_no_call(monkeypatch: pytest.MonkeyPatch, failures: list[int]) -> None:
    engine = Summing()
    monkeypatch.setattr(engine, "computed_tokens", fails)
    scheduler = start(engine, failures)
    assert outcomes(submit(scheduler, [row(1)])) == [1.0]
    assert outcomes(submit(scheduler, [row(2)])) == [2.0]
    scheduler.close()


def test_a_failed_batch_that_can_not_be_counted_ends_no_stream() -> None:
    scheduler = Scheduler(Summing(), 512, 1 << 20, failed=fails)
    assert isinstance(outcomes(submit(scheduler, [row(POISON)]))[0], ScoringError)
    assert outcomes(submit(scheduler, [row(2)])) == [2.0]
    scheduler.close()


def test_where_no_batch_can_be_chosen_each_row_is_scored_alone(failures: list[int]) -> None:
    engine = Summing(batch_cost="ten")  # type: ignore[arg-type]
    scheduler = start(engine, failures)
    assert outcomes(submit(scheduler, [row(1), row(2), row(3, 4)])) == [1.0, 2.0, 8.0]
    scheduler.close()


def test_a_batch_that_fails_before_it_is_scored_fails_its_calls_as_a_whole(failures: list[int]) -> None:
    scheduler = Scheduler(Summing(), 512, 2, failed=lambda: failures.append(1))
    refused = outcomes(submit(scheduler, Unreadable([row(1), row(2), row(3), row(4)])))  # two batches
    assert [type(outcome) for outcome in refused] == [ScoringError] * 4
    assert outcomes(submit(scheduler, [row(5)])) == [5.0]
    scheduler.close()
    assert failures == [1]


def test_an_answer_that_can_not_be_sent_keeps_no_other_one(failures: list[int]) -> None:
    scheduler = start(Summing(), failures)
    scheduler.submit(Call([row(1)], fails))
    assert outcomes(submit(scheduler, [row(2)])) == [2.0]
    scheduler.close()
