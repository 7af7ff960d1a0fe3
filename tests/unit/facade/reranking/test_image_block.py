"""python -m pytest tests/unit/facade/reranking/test_image_block.py"""

from typing import Any

import pytest

from facade.reranking.image_block import ImageBlock, fault_of

VOCABULARY = 100
ENTRY: dict[str, Any] = {
    "tile_size": 64,
    "most_tiles": 6,
    "thumbnail": True,
    "grids": [[1, 1], [1, 2], [2, 3]],
    "tokens_per_tile": 4,
    "before": [90],
    "after": [91],
    "placeholder_id": 92,
    "text_prefix": " ",
}


def test_a_block_has_the_entrys_values() -> None:
    block = ImageBlock.of(ENTRY)
    assert (block.tile_size, block.most_tiles, block.thumbnail) == (64, 6, True)
    assert block.grids == ((1, 1), (1, 2), (2, 3))
    assert (block.before, block.placeholder_id, block.after) == ((90,), 92, (91,))


@pytest.mark.parametrize(("tiles", "tokens"), [(1, 6), (7, 30)])
def test_an_image_takes_its_tiles_tokens_and_those_around_it(tiles: int, tokens: int) -> None:
    assert ImageBlock.of(ENTRY).tokens(tiles) == tokens


def test_a_whole_entry_has_no_fault() -> None:
    assert fault_of(ENTRY, VOCABULARY) is None


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"tile_size": 0}, "positive numbers"),
        ({"tile_size": True}, "positive numbers"),
        ({"tokens_per_tile": 4.0}, "positive numbers"),
        ({"most_tiles": "6"}, "positive numbers"),
        ({"thumbnail": 1}, "true or false as thumbnail"),
        ({"grids": []}, "grids"),
        ({"grids": [[1]]}, "grids"),
        ({"grids": [[0, 1]]}, "grids"),
        ({"grids": [[7, 1]]}, "grids"),
        ({"grids": None}, "grids"),
        ({"before": 90}, "token ids"),
        ({"after": [VOCABULARY]}, "token ids"),
        ({"placeholder_id": -1}, "token ids"),
        ({"placeholder_id": True}, "token ids"),
        ({"text_prefix": None}, "text as text_prefix"),
        ({"colour": "RGB"}, "expected after, before"),
    ],
    ids=str,
)
def test_a_faulty_entry_is_named(change: dict[str, Any], fault: str) -> None:
    assert fault in str(fault_of(ENTRY | change, VOCABULARY))


@pytest.mark.parametrize("name", sorted(ENTRY))
def test_every_value_is_needed(name: str) -> None:
    assert fault_of({key: value for key, value in ENTRY.items() if key != name}, VOCABULARY)


def test_an_entry_is_an_object() -> None:
    assert fault_of([], VOCABULARY)
