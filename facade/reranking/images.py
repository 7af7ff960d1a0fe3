"""Images of passages: from a data URL or base64 to the file and its number of tiles, and from the file to its tiles.

Nothing is ever fetched. Knows no requests, no tokens and no HTTP.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facade.reranking.data_url import decoded
from facade.reranking.image_block import ImageBlock
from facade.reranking.image_file import ImageLimits, UnusableImageError, opened, rgb, upright_size
from facade.reranking.tiles import cut, grid_of, tiles_in

__all__ = ["Image", "ImageLimits", "UnusableImageError", "read_image", "tiles_of"]


@dataclass(frozen=True)
class Image:
    """An image's file, its SHA-256 (32 bytes) and the number of its tiles."""

    content: bytes
    digest: bytes
    tiles: int


def read_image(data: str, block: ImageBlock, limits: ImageLimits) -> Image:
    """The image that a data URL or bare base64 holds. Reads the file's header alone. Raises UnusableImageError."""
    content = decoded(data, limits.file_bytes)
    with opened(content, limits) as image:
        grid = grid_of(*upright_size(image), block)
    return Image(content, hashlib.sha256(content).digest(), tiles_in(grid, block))


def tiles_of(content: bytes, block: ImageBlock, limits: ImageLimits) -> NDArray[np.uint8]:
    """The tiles of an image's file, UINT8 [tiles, 3, tile_size, tile_size]: RGB, row-major, the thumbnail last.

    Raises UnusableImageError.
    """
    with opened(content, limits) as image:
        return cut(rgb(image), block)
