"""python -m pytest tests/unit/rerank_text/test_room.py

Calls are let in while there is room, refused at once where there is none, and let in again.
"""

import pytest

from facade.errors import OverloadedError
from rerank_text.asked import Asked
from rerank_text.room import Room


def call(passages: int, size: int = 0) -> Asked:
    return Asked(["a"] * passages, ["b"] * passages, truncate=False, size=size)


@pytest.mark.parametrize(
    ("first", "next_one"), [(call(6), call(5)), (call(1, 60), call(1, 41)), (call(20), call(1)), (call(1, 900), call(1, 1))]
)
def test_a_call_that_there_is_no_room_for_is_refused_until_there_is(first: Asked, next_one: Asked) -> None:
    room = Room(passages=10, size=100)
    room.enter(first)
    for _ in range(2):
        with pytest.raises(OverloadedError, match="wait here"):
            room.enter(next_one)
    room.leave(first)
    room.enter(next_one)


def test_calls_that_fit_are_let_in_together() -> None:
    room = Room(passages=10, size=100)
    for _ in range(10):
        room.enter(call(1, 10))
    with pytest.raises(OverloadedError):
        room.enter(call(1))
