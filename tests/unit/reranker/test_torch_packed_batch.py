"""python -m pytest tests/unit/reranker/test_torch_packed_batch.py

Every row is found again in the packed batch, whatever shape it was filled up to, and there are few shapes.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from facade.reranking.tensors import Row  # noqa: E402
from reranker.engines.torch_packed.batch import Shape, bucket, exact_shape, fill  # noqa: E402
from tests.unit.reranker.packed_rows import random_rows  # noqa: E402

LIMIT = 512
FILLER = 9
LENGTHS = st.lists(st.integers(1, LIMIT), min_size=1, max_size=20)


def check(rows: list[Row], shape: Shape) -> None:
    batch = shape.split(torch.from_numpy(fill(rows, shape, FILLER)))
    places = batch.bounds.places.tolist()
    assert len(places) == shape.sequences + 1
    assert places[0] == 0
    assert places[-1] == shape.tokens == len(batch.input_ids) == len(batch.segments) == len(batch.positions)
    lengths = np.diff(places)
    assert (lengths >= 0).all()
    assert lengths.max() <= batch.bounds.longest
    for row, start, end in zip(rows, places, places[1:], strict=False):
        assert batch.input_ids[start:end].tolist() == row.input_ids.tolist()
        assert batch.segments[start:end].tolist() == row.token_type_ids.tolist()
    used = sum(len(row.input_ids) for row in rows)
    assert set(batch.input_ids[used:].tolist()) <= {FILLER}
    for start, end in pairwise(places):
        assert batch.positions[start:end].tolist() == list(range(end - start))


@given(LENGTHS)
def test_rows_are_packed_as_they_are(lengths: list[int]) -> None:
    rows = random_rows(lengths, 100)
    shape = exact_shape(lengths)
    assert shape.tokens == sum(lengths)
    assert shape.longest == max(lengths)
    check(rows, shape)


@given(LENGTHS)
def test_a_bucket_holds_the_rows_and_little_more(lengths: list[int]) -> None:
    rows = random_rows(lengths, 100)
    shape = bucket(lengths, LIMIT)
    assert shape.tokens <= max(sum(lengths) * 1.25, 64)
    assert shape.longest <= LIMIT
    check(rows, shape)


@given(LENGTHS)
def test_a_recorded_graph_s_own_batch_fits_its_shape(lengths: list[int]) -> None:
    check([], bucket(lengths, LIMIT))


def test_buckets_are_few() -> None:
    shapes = {bucket([length], LIMIT) for length in range(1, LIMIT + 1)}
    assert {shape.tokens for shape in shapes} == {64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512}
    assert len(shapes) < 24


def test_parts_of_the_buffer_are_aligned() -> None:
    shape = exact_shape([3, 10])
    batch = shape.split(torch.from_numpy(fill(random_rows([3, 10], 100), shape, FILLER)))
    start = batch.input_ids.data_ptr()
    assert all((part.data_ptr() - start) % 16 == 0 for part in (batch.segments, batch.positions, batch.bounds.places))
