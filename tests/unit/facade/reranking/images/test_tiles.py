"""python -m pytest tests/unit/facade/reranking/images/test_tiles.py"""

import numpy as np
import pytest
from PIL import Image

from facade.reranking.images.tiles import cut, grid_for, tiles_in
from tests.unit.facade.reranking.images import oracle
from tests.unit.facade.reranking.images.blocks import block


@pytest.mark.parametrize(
    ("width", "height", "tiles"),
    [
        (512, 512, 1),
        (1024, 1024, 5),
        (1280, 680, 3),
        (2480, 3508, 7),
        (2550, 3300, 7),
        (1920, 1080, 7),
        (800, 600, 7),
        (1, 5000, 7),
        (5000, 1, 7),
    ],
)
def test_a_size_has_the_tiles_of_the_reference(width: int, height: int, tiles: int) -> None:
    assert tiles_in(grid_for(width, height, block(512)), block(512)) == tiles


def test_ties_go_to_the_reference_s_grid() -> None:
    squares = {side: grid_for(side, side, block(512)) for side in range(1, 6000)}
    of_six = [side for side, grid in squares.items() if grid == (2, 3)]
    assert (len(of_six), of_six[0]) == (82, 1714)
    assert set(squares.values()) == {(1, 1), (2, 2), (2, 3)}


def test_every_shape_has_the_oracles_grid() -> None:
    sides = [*range(1, 40), *range(40, 6000, 97), 1714, 3071, 65535]
    assert all(grid_for(width, height, block(512)) == oracle.grid(width, height, 512) for width in sides for height in sides)


def test_tiles_run_along_the_rows_and_the_thumbnail_is_the_last() -> None:
    pixels = np.zeros((128, 192, 3), np.uint8)
    for place in range(6):
        pixels[place // 3 * 64 :, place % 3 * 64 :] = 40 * place
    tiles = cut(Image.fromarray(pixels), block())
    assert [int(tile[0, 30, 30]) for tile in tiles[:6]] == [0, 40, 80, 120, 160, 200]
    assert tiles.shape == (7, 3, 64, 64)
    assert tiles[6, 0, 5, 5] == 0
    assert tiles[6, 0, 60, 60] == 200


def test_red_comes_first() -> None:
    assert cut(Image.new("RGB", (64, 64), (1, 2, 3)), block())[0, :, 9, 9].tolist() == [1, 2, 3]
