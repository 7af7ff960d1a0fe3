"""Images of passages: from a data URL or base64 to the file and its number of tiles, and from the file to its tiles.

`read_image` reads the file's header alone and needs no decoder; `tiles_of` decodes. Both see the same size, or the file is refused.
Nothing is ever fetched. Knows no requests, no tokens and no HTTP.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facade.reranking.image_block import ImageBlock
from facade.reranking.images.data_url import bytes_in
from facade.reranking.images.limits import ImageLimits, UnusableImageError
from facade.reranking.images.pixels import upright_rgb
from facade.reranking.images.reading import header_of
from facade.reranking.images.tiles import cut, grid_for, tiles_in

__all__ = ["Image", "ImageLimits", "UnusableImageError", "read_image", "tiles_of"]


@dataclass(frozen=True)
class Image:
    """An image's file, its SHA-256 (32 bytes) and the number of its tiles."""

    content: bytes
    digest: bytes
    tiles: int


def read_image(data: str, block: ImageBlock, limits: ImageLimits) -> Image:
    """The image that a data URL or bare base64 holds. Raises UnusableImageError."""
    content = bytes_in(data, limits.file_bytes)
    grid = grid_for(*header_of(content, limits).upright_size, block)
    return Image(content, hashlib.sha256(content).digest(), tiles_in(grid, block))


def tiles_of(content: bytes, block: ImageBlock, limits: ImageLimits) -> NDArray[np.uint8]:
    """The tiles of an image's file, UINT8 [tiles, 3, tile_size, tile_size]: RGB, row-major, the thumbnail last.

    Raises UnusableImageError.
    """
    return cut(upright_rgb(header_of(content, limits)), block)
