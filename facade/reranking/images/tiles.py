"""An image's grid, and the tiles that it is cut into. Knows no files."""

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, Resampling

from facade.reranking.image_block import ImageBlock

Grid = tuple[int, int]
_ENOUGH = 0.6  # tiles for more than this part of the image's area make no grid better


def grid_for(width: int, height: int, block: ImageBlock) -> Grid:
    """Columns and rows for an image of that size: the first of the block's grids that no other one beats.

    The order of the operations is the reference's, for rounding decides ties.
    """
    aspect, area = width / height, width * height

    def fitness(grid: Grid) -> float:
        columns, rows = grid
        ratio = columns / rows
        covered = min(columns * rows * block.tile_size * block.tile_size / area, _ENOUGH)
        return covered * min(ratio / aspect, aspect / ratio)

    return max(block.grids, key=fitness)


def tiles_in(grid: Grid, block: ImageBlock) -> int:
    """Tiles of an image of that grid, the thumbnail included."""
    tiles = grid[0] * grid[1]
    return tiles + (block.thumbnail and tiles > 1)


def cut(image: Image, block: ImageBlock) -> NDArray[np.uint8]:
    """The tiles of an RGB image, UINT8 [tiles, 3, tile_size, tile_size]: row-major, the thumbnail last."""
    columns, rows = grid = grid_for(*image.size, block)
    size = block.tile_size
    tiles = np.empty((tiles_in(grid, block), 3, size, size), np.uint8)
    whole = _resized(image, columns * size, rows * size).reshape(rows, size, columns, size, 3)
    tiles[: rows * columns] = whole.transpose(0, 2, 4, 1, 3).reshape(-1, 3, size, size)
    if len(tiles) > rows * columns:
        tiles[-1] = _resized(image, size, size).transpose(2, 0, 1)
    return tiles


def _resized(image: Image, width: int, height: int) -> NDArray[np.uint8]:
    """The whole image in that size, UINT8 [height, width, 3]."""
    return np.asarray(image.resize((width, height), Resampling.BICUBIC))
