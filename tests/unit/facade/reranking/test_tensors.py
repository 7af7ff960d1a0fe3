"""python -m pytest tests/unit/facade/reranking/test_tensors.py

What is packed comes out of unpacking, wherever the padding stands, and what can't be scored rightly is refused by row.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.errors import BundleError, InvalidRequestError
from facade.reranking.bundle import Bundle
from facade.reranking.tensors import (
    ATTENTION_MASK,
    INPUT_IDS,
    OTHER_BUNDLE,
    TOKEN_TYPE_IDS,
    Row,
    Tokens,
    check_inputs,
    pack,
    served_digest,
    unpack,
)

MAX_LEN = 12
PADDING_SIDES = ("right", "left", "both")


@pytest.fixture(scope="module")
def small(bundle: Bundle) -> Bundle:
    """The default bundle with limits that generated rows reach; it has segment ids."""
    encoding = replace(bundle.pair_encoding, segment_ids=True)
    return replace(bundle, max_seq_len=MAX_LEN, vocabulary_size=50, pad_id=7, pair_encoding=encoding)


@pytest.fixture(scope="module")
def plain(small: Bundle) -> Bundle:
    """The same without segment ids."""
    return replace(small, pair_encoding=replace(small.pair_encoding, segment_ids=False))


# The padding id is drawn, too: the mask alone says what is padding.
ROW = st.lists(st.tuples(st.integers(0, 49), st.integers(0, 1)), min_size=1, max_size=MAX_LEN)
ROWS = st.lists(ROW, min_size=1, max_size=8)


def rows_of(drawn: list[list[tuple[int, int]]]) -> list[Row]:
    return [Row(np.array([token for token, _ in row], np.int64), np.array([kind for _, kind in row], np.int64)) for row in drawn]


def shifted(inputs: dict[str, Tokens], side: str, extra: int) -> dict[str, Tokens]:
    """The same rows with their padding on another side, and `extra` columns more of it."""
    lengths = inputs[ATTENTION_MASK].sum(axis=1)
    moved = {}
    for name, array in inputs.items():
        padded = np.pad(array, ((0, 0), (0, extra)))
        room = padded.shape[1] - lengths
        steps = {"right": room * 0, "left": room, "both": room // 2}[side]
        moved[name] = np.stack([np.roll(row, step) for row, step in zip(padded, steps, strict=True)])
    return moved


def as_lists(rows: list[Row]) -> list[tuple[list[int], list[int]]]:
    return [(row.input_ids.tolist(), row.token_type_ids.tolist()) for row in rows]


@given(ROWS, st.sampled_from(PADDING_SIDES), st.integers(0, 4))
def test_unpacking_is_the_inverse_of_packing_wherever_the_padding_stands(
    small: Bundle, drawn: list[list[tuple[int, int]]], side: str, extra: int
) -> None:
    rows = rows_of(drawn)
    assert as_lists(unpack(shifted(pack(rows, small), side, extra), small)) == as_lists(rows)


@given(ROWS, st.sampled_from(PADDING_SIDES))
def test_without_segment_ids_the_ids_alone_come_back(plain: Bundle, drawn: list[list[tuple[int, int]]], side: str) -> None:
    rows = rows_of(drawn)
    inputs = pack(rows, plain)
    assert set(inputs) == {INPUT_IDS, ATTENTION_MASK}
    assert as_lists(unpack(shifted(inputs, side, 1), plain)) == [(row.input_ids.tolist(), [0] * len(row.input_ids)) for row in rows]


@pytest.mark.parametrize(("longest", "width"), [(1, 16), (16, 16), (17, 32), (96, 96), (97, 100), (100, 100)])
def test_packing_pads_on_to_whole_steps_as_far_as_the_limit_goes(bundle: Bundle, longest: int, width: int) -> None:
    small = replace(bundle, max_seq_len=100)
    rows = [Row(np.ones(length, np.int64), np.zeros(length, np.int64)) for length in (1, longest)]
    inputs = pack(rows, small, 16)
    assert {array.shape for array in inputs.values()} == {(2, width)}
    assert inputs[ATTENTION_MASK].sum(axis=1).tolist() == [1, longest]
    assert (inputs[INPUT_IDS][1, longest:] == small.pad_id).all()


@given(ROWS)
def test_packing_pads_on_the_right_to_the_longest_row(small: Bundle, drawn: list[list[tuple[int, int]]]) -> None:
    inputs = pack(rows_of(drawn), small)
    width = max(map(len, drawn))
    for index, row in enumerate(drawn):
        padding = width - len(row)
        assert inputs[INPUT_IDS][index].tolist() == [token for token, _ in row] + [small.pad_id] * padding
        assert inputs[ATTENTION_MASK][index].tolist() == [1] * len(row) + [0] * padding
        assert inputs[TOKEN_TYPE_IDS][index].tolist() == [kind for _, kind in row] + [0] * padding
    assert {array.dtype for array in inputs.values()} == {np.dtype(np.int64)}


def set_in(name: str, row: int, column: int, value: int) -> Callable[[dict[str, Tokens]], None]:
    def change(inputs: dict[str, Tokens]) -> None:
        inputs[name][row, column] = value

    return change


def clear_rows(*rows: int) -> Callable[[dict[str, Tokens]], None]:
    def change(inputs: dict[str, Tokens]) -> None:
        inputs[ATTENTION_MASK][list(rows)] = 0

    return change


def widen(name: str) -> Callable[[dict[str, Tokens]], None]:
    def change(inputs: dict[str, Tokens]) -> None:
        inputs[name] = np.pad(inputs[name], ((0, 0), (0, 1)))

    return change


def flatten(inputs: dict[str, Tokens]) -> None:
    for name in list(inputs):
        inputs[name] = inputs[name].reshape(-1)


def drop(name: str) -> Callable[[dict[str, Tokens]], None]:
    def change(inputs: dict[str, Tokens]) -> None:
        del inputs[name]

    return change


def lengthen(inputs: dict[str, Tokens]) -> None:
    for name in list(inputs):
        inputs[name] = np.pad(inputs[name], ((0, 0), (0, MAX_LEN)), constant_values=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in(INPUT_IDS, 1, 0, -1), "row 1: input_ids outside of 0..49"),
        (set_in(INPUT_IDS, 1, 0, 50), "row 1: input_ids outside of 0..49"),
        (set_in(ATTENTION_MASK, 2, 1, 2), "row 2: attention_mask is neither 0 nor 1"),
        (set_in(ATTENTION_MASK, 2, 1, -1), "row 2: attention_mask is neither 0 nor 1"),
        (set_in(TOKEN_TYPE_IDS, 0, 2, 2), "row 0: token_type_ids is neither 0 nor 1"),
        (clear_rows(1), "row 1: no token"),
        (clear_rows(0, 2), "row 0: no token, and so in 1 more"),
        (lengthen, "row 0: more than 12 tokens, and so in 2 more"),
        (set_in(ATTENTION_MASK, 0, 1, 0), "row 0: attention_mask has padding between tokens"),
        (drop(TOKEN_TYPE_IDS), "token_type_ids is missing"),
        (drop(ATTENTION_MASK), "attention_mask is missing"),
        (drop(INPUT_IDS), "input_ids is missing"),
        (widen(ATTENTION_MASK), r"expected tensors of one shape \[rows, tokens\], got \(3, 4\), \(3, 5\) and \(3, 4\)"),
        (widen(TOKEN_TYPE_IDS), r"expected tensors of one shape \[rows, tokens\]"),
        (flatten, r"expected tensors of one shape \[rows, tokens\], got \(12,\), \(12,\) and \(12,\)"),
    ],
)
def test_tensors_that_cannot_be_scored_rightly_are_refused(
    small: Bundle, change: Callable[[dict[str, Tokens]], None], message: str
) -> None:
    inputs = pack(rows_of([[(1, 0), (2, 0), (3, 1), (4, 1)], [(5, 0), (6, 1)], [(8, 0), (9, 1), (10, 1)]]), small)
    change(inputs)
    with pytest.raises(InvalidRequestError, match=message):
        unpack(inputs, small)


def test_what_stands_under_padding_is_no_fault(small: Bundle) -> None:
    inputs = pack(rows_of([[(1, 0), (2, 0), (3, 1)], [(5, 0)]]), small)
    inputs[INPUT_IDS][1, 1:] = -100
    inputs[TOKEN_TYPE_IDS][1, 1:] = 9
    assert as_lists(unpack(inputs, small))[1] == ([5], [0])


def test_segment_ids_are_not_required_by_bundles_without_them(plain: Bundle) -> None:
    inputs = {INPUT_IDS: np.array([[1, 2]]), ATTENTION_MASK: np.array([[1, 1]])}
    assert as_lists(unpack(inputs, plain)) == [([1, 2], [0, 0])]


def test_a_row_of_exactly_the_limit_passes(small: Bundle) -> None:
    rows = rows_of([[(1, 0)] * MAX_LEN])
    assert as_lists(unpack(pack(rows, small), small)) == as_lists(rows)


def test_a_graphs_inputs_have_to_be_those_that_its_bundle_gives(small: Bundle, plain: Bundle) -> None:
    names = (INPUT_IDS, ATTENTION_MASK)
    check_inputs((*names, TOKEN_TYPE_IDS), small)
    check_inputs(names, plain)
    with pytest.raises(BundleError, match="takes token_type_ids and its manifest has none"):
        check_inputs((*names, TOKEN_TYPE_IDS), plain)
    with pytest.raises(BundleError, match="does not take token_type_ids and its manifest has them"):
        check_inputs(names, small)


@pytest.mark.parametrize(
    ("text", "digest"),
    [(f"{OTHER_BUNDLE} {'0a' * 32}, the call is for x", "0a" * 32), (f"{OTHER_BUNDLE} x", None), ("", None)],
)
def test_a_refusal_names_the_served_bundle(text: str, digest: str | None) -> None:
    assert served_digest(text) == digest
