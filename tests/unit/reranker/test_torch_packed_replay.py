"""python -m pytest tests/unit/reranker/test_torch_packed_replay.py

Shapes are recorded when they come again, not before, and not without end.
"""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from reranker.engines.torch_packed.batch import Shape  # noqa: E402
from reranker.engines.torch_packed.replay import MOST_GRAPHS, Recording, Recordings  # noqa: E402


@pytest.fixture
def made() -> list[Shape]:
    return []


@pytest.fixture
def recordings(made: list[Shape]) -> Recordings:
    def record(shape: Shape) -> Recording:
        made.append(shape)
        graph: Any = None
        return Recording(graph, torch.zeros(1), torch.zeros(1))

    return Recordings(record)


def test_a_shape_is_recorded_once_when_it_comes_again(recordings: Recordings, made: list[Shape]) -> None:
    first, other = Shape(64, 8, 64), Shape(80, 8, 64)
    assert recordings.of(first) is None
    assert recordings.of(other) is None
    kept = recordings.of(first)
    assert kept is not None
    assert recordings.of(first) is kept
    assert made == [first]


def test_there_are_never_more_than_the_driver_has_room_for(recordings: Recordings, made: list[Shape]) -> None:
    shapes = [Shape(64 + number, 8, 64) for number in range(MOST_GRAPHS + 5)]
    for _ in range(3):
        found = [recordings.of(shape) is not None for shape in shapes]
    assert found == [True] * MOST_GRAPHS + [False] * 5
    assert made == shapes[:MOST_GRAPHS]
