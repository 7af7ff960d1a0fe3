"""python -m pytest tests/unit/facade/scoring/test_admission_bytes.py

The bytes of all bodies in flight are bounded, from the first that came.
"""

from contextlib import ExitStack

import pytest

from facade.errors import OverloadedError
from facade.scoring.admission import Admission, Limits
from tests.unit.facade.scoring.requests import MOST

MIB = 1 << 20


def admission(held_bytes: int) -> Admission:
    return Admission(Limits(requests=100, tokens=1_000_000, held_bytes=held_bytes))


def test_the_bytes_of_bodies_count_while_they_come_and_are_bounded() -> None:
    gate = admission(10 * MIB)
    with ExitStack() as stack:
        first, second = (stack.enter_context(gate.request(0, MOST)) for _ in range(2))
        for size in (2 * MIB, 7 * MIB):
            first.hold(size)
        second.hold(3 * MIB)
        assert gate.held == 10 * MIB
        with pytest.raises(OverloadedError, match=f"bodies of {7 * MIB} bytes are in flight"):
            second.hold(3 * MIB + 1)
        with pytest.raises(OverloadedError):
            stack.enter_context(gate.request(2 * MIB, MOST))  # as its head announces
        stack.enter_context(gate.request(MIB, MOST)).hold(MIB)  # a small one is let in
    assert gate.held == 0


def test_a_body_larger_than_the_bound_is_let_in_alone() -> None:
    gate = admission(MIB)
    with gate.request(9 * MIB, MOST) as work:
        work.hold(9 * MIB)
        assert gate.held == 9 * MIB
