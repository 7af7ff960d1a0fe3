"""python -m pytest tests/unit/reranker/test_scoring.py

Every row gets its own outcome: batches keep the budget, and a row that can't be scored fails alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring import Scorer

from facade.bundle import Bundle
from facade.errors import ScoringError
from facade.tensors import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, Logits, Row, Tokens

POISON, NAN, INFINITE = 30_000, 30_001, 30_002


@dataclass
class Summing:
    """An engine whose logit is the sum of a row's ids plus the sum of its segments; some ids have a fate of their own.

    A batch with POISON in it fails, as does one that costs more than `memory` tokens.
    """

    name: str = "summing"
    precision: str = "fp32"
    step: int = 1
    memory: int = 1 << 30
    shapes: list[tuple[int, int]] = field(default_factory=list)

    def infer(self, inputs: Mapping[str, Tokens]) -> Logits:
        ids, mask = inputs[INPUT_IDS], inputs[ATTENTION_MASK]
        rows, tokens = ids.shape
        self.shapes.append((rows, tokens))
        if ids.size > self.memory:
            raise MemoryError(f"no room for {ids.size} tokens")
        if (ids == POISON).any():
            raise RuntimeError("poison")
        logits = ((ids + inputs.get(TOKEN_TYPE_IDS, 0)) * mask).sum(axis=1).astype(np.float32)
        logits[(ids == NAN).any(axis=1)] = np.nan
        logits[(ids == INFINITE).any(axis=1)] = -np.inf
        return logits


def row(*ids: int) -> Row:
    return Row(np.array(ids, np.int64), np.array([0] + [1] * (len(ids) - 1), np.int64))


def expected(scored: Row) -> float:
    return float(scored.input_ids.sum() + scored.token_type_ids.sum())


IDS = st.lists(st.integers(1, 100), min_size=1, max_size=30)
FATES = st.sampled_from([1, 1, 1, 1, POISON, NAN, INFINITE])


@given(st.lists(st.tuples(IDS, FATES), max_size=40), st.integers(1, 200))
def test_every_row_has_its_own_outcome_whatever_becomes_of_the_others(
    bundle: Bundle, drawn: list[tuple[list[int], int]], budget: int
) -> None:
    rows = [row(*ids, fate) for ids, fate in drawn]
    outcomes = Scorer(Summing(), bundle, budget).score(rows)
    assert len(outcomes) == len(rows)
    for (_, fate), scored, outcome in zip(drawn, rows, outcomes, strict=True):
        if fate == 1:
            assert outcome == expected(scored)
        else:
            assert isinstance(outcome, ScoringError)
            assert ("poison" in outcome.message) == (fate == POISON)


@given(st.lists(IDS, max_size=60), st.integers(1, 200))
def test_no_forward_pass_costs_more_than_the_budget_except_a_single_row(bundle: Bundle, drawn: list[list[int]], budget: int) -> None:
    engine = Summing()
    Scorer(engine, bundle, budget).score([row(*ids) for ids in drawn])
    assert all(rows == 1 or rows * tokens <= budget for rows, tokens in engine.shapes)
    assert sum(rows for rows, _ in engine.shapes) == len(drawn)


@given(st.lists(IDS, min_size=1, max_size=40), st.integers(30, 400))
def test_a_device_that_is_out_of_memory_is_given_less_at_a_time(bundle: Bundle, drawn: list[list[int]], memory: int) -> None:
    rows = [row(*ids) for ids in drawn]
    assert Scorer(Summing(memory=memory), bundle, 1 << 20).score(rows) == [expected(scored) for scored in rows]


def test_a_fault_is_found_by_halving_not_row_by_row(bundle: Bundle) -> None:
    engine = Summing()
    rows = [row(number + 1) for number in range(63)] + [row(POISON)]
    outcomes = Scorer(engine, bundle, 1 << 20).score(rows)
    assert [index for index, outcome in enumerate(outcomes) if isinstance(outcome, ScoringError)] == [63]
    assert len(engine.shapes) == 13  # the whole, and both halves at each of six steps


def test_the_error_names_the_engine(bundle: Bundle) -> None:
    (outcome,) = Scorer(Summing(), bundle, 100).score([row(POISON)])
    assert isinstance(outcome, ScoringError)
    assert outcome.message == "the summing engine failed: poison"


@pytest.mark.parametrize("fate", [NAN, INFINITE])
def test_a_logit_that_is_no_finite_number_is_an_error(bundle: Bundle, fate: int) -> None:
    first, second, third = Scorer(Summing(), bundle, 100).score([row(1), row(fate), row(2)])
    assert (first, third) == (1.0, 2.0)
    assert isinstance(second, ScoringError)


def test_no_rows_need_no_engine(bundle: Bundle) -> None:
    engine = Summing()
    assert Scorer(engine, bundle, 100).score([]) == []
    assert engine.shapes == []
