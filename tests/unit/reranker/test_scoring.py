"""python -m pytest tests/unit/reranker/test_scoring.py

Every row gets its own outcome: batches keep the budget, and a row that can't be scored fails alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import current_thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import Scorer

from facade.errors import ScoringError
from facade.tensors import Logits, Row

POISON, NAN, INFINITE = 30_000, 30_001, 30_002


@dataclass
class Summing:
    """An engine whose logit is the sum of a row's ids plus the sum of its segments; some ids have a fate of their own.

    A batch with POISON in it fails, as does one that costs more than `memory` tokens.
    """

    name: str = "summing"
    precision: str = "fp32"
    step: int = 1
    streams: int = 1
    batch_cost: int = 10
    memory: int = 1 << 30
    shapes: list[tuple[int, int]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def infer(self, rows: Sequence[Row]) -> Logits:
        self.threads.add(current_thread().name)
        longest = max(len(row.input_ids) for row in rows)
        self.shapes.append((len(rows), longest))
        if len(rows) * longest > self.memory:
            raise MemoryError(f"no room for {len(rows) * longest} tokens")
        if any((row.input_ids == POISON).any() for row in rows):
            raise RuntimeError("poison")
        return np.array([self._logit(row) for row in rows], np.float32)

    def _logit(self, row: Row) -> float:
        if (row.input_ids == NAN).any():
            return np.nan
        return -np.inf if (row.input_ids == INFINITE).any() else expected(row)


def scorer(engine: Summing, token_budget: int) -> Scorer:
    return Scorer(engine, 512, token_budget)


def row(*ids: int) -> Row:
    return Row(np.array(ids, np.int64), np.array([0] + [1] * (len(ids) - 1), np.int64))


def expected(scored: Row) -> float:
    return float(scored.input_ids.sum() + scored.token_type_ids.sum())


IDS = st.lists(st.integers(1, 100), min_size=1, max_size=30)
FATES = st.sampled_from([1, 1, 1, 1, POISON, NAN, INFINITE])


@given(st.lists(st.tuples(IDS, FATES), max_size=40), st.integers(1, 200))
def test_every_row_has_its_own_outcome_whatever_becomes_of_the_others(drawn: list[tuple[list[int], int]], budget: int) -> None:
    rows = [row(*ids, fate) for ids, fate in drawn]
    outcomes = scorer(Summing(), budget).score(rows).outcomes
    assert len(outcomes) == len(rows)
    for (_, fate), scored, outcome in zip(drawn, rows, outcomes, strict=True):
        if fate == 1:
            assert outcome == expected(scored)
        else:
            assert isinstance(outcome, ScoringError)
            assert ("poison" in outcome.message) == (fate == POISON)


@given(st.lists(IDS, max_size=60), st.integers(1, 200))
def test_no_forward_pass_costs_more_than_the_budget_except_a_single_row(drawn: list[list[int]], budget: int) -> None:
    engine = Summing()
    scorer(engine, budget).score([row(*ids) for ids in drawn])
    assert all(rows == 1 or rows * tokens <= budget for rows, tokens in engine.shapes)
    assert sum(rows for rows, _ in engine.shapes) == len(drawn)


@given(st.lists(IDS, min_size=1, max_size=40), st.integers(30, 400))
def test_a_device_that_is_out_of_memory_is_given_less_at_a_time(drawn: list[list[int]], memory: int) -> None:
    rows = [row(*ids) for ids in drawn]
    assert scorer(Summing(memory=memory), 1 << 20).score(rows).outcomes == [expected(scored) for scored in rows]


def test_a_fault_is_found_by_halving_not_row_by_row() -> None:
    engine = Summing()
    rows = [row(number + 1) for number in range(63)] + [row(POISON)]
    outcomes = scorer(engine, 1 << 20).score(rows).outcomes
    assert [index for index, outcome in enumerate(outcomes) if isinstance(outcome, ScoringError)] == [63]
    assert len(engine.shapes) == 13  # the whole, and both halves at each of six steps


def test_the_error_names_the_engine() -> None:
    (outcome,) = scorer(Summing(), 100).score([row(POISON)]).outcomes
    assert isinstance(outcome, ScoringError)
    assert outcome.message == "the summing engine failed: poison"


@pytest.mark.parametrize("fate", [NAN, INFINITE])
def test_a_logit_that_is_no_finite_number_is_an_error(fate: int) -> None:
    first, second, third = scorer(Summing(), 100).score([row(1), row(fate), row(2)]).outcomes
    assert (first, third) == (1.0, 2.0)
    assert isinstance(second, ScoringError)


def test_no_rows_need_no_engine() -> None:
    engine = Summing()
    assert scorer(engine, 100).score([]).outcomes == []
    assert engine.shapes == []


def test_padding_is_told() -> None:
    engine = Summing(step=16, batch_cost=1000)
    rows = [row(*range(1, 11)), row(*range(1, 21)), row(*range(1, 18))]
    scored = scorer(engine, 1 << 20).score(rows)
    assert engine.shapes == [(3, 20)]
    assert scored.tokens == 3 * 32


def test_a_row_is_not_padded_beyond_the_limit() -> None:
    assert Scorer(Summing(step=16), 500, 1 << 20).score([row(*range(1, 500))]).tokens == 500


def test_little_work_is_still_work_for_all_streams() -> None:
    engine = Summing(streams=4)
    rows = [row(*range(1, 11)) for _ in range(8)]
    assert scorer(engine, 1 << 20).score(rows).outcomes == [expected(each) for each in rows]
    assert engine.shapes == [(2, 10)] * 4


@given(st.lists(IDS, max_size=40), st.integers(1, 4))
def test_streams_change_no_outcome(drawn: list[list[int]], streams: int) -> None:
    rows = [row(*ids) for ids in drawn]
    assert scorer(Summing(streams=streams), 100).score(rows).outcomes == [expected(each) for each in rows]
