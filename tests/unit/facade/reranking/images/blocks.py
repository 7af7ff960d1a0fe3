"""Image blocks for the tests of images."""

from facade.reranking.image_block import ImageBlock
from facade.reranking.images import ImageLimits

# The order in which CPython 3.11 iterates over the reference's set of grids of at most six tiles, sorted by their tiles.
GRIDS = ((1, 1), (1, 2), (2, 1), (3, 1), (1, 3), (4, 1), (1, 4), (2, 2), (1, 5), (5, 1), (6, 1), (2, 3), (1, 6), (3, 2))
LIMITS = ImageLimits(file_bytes=20_000_000, pixels=36_000_000)


def block(tile_size: int = 64, *, thumbnail: bool = True) -> ImageBlock:
    return ImageBlock(
        tile_size=tile_size,
        most_tiles=6,
        thumbnail=thumbnail,
        grids=GRIDS,
        tokens_per_tile=4,
        before=(1,),
        after=(2,),
        placeholder_id=3,
        text_prefix=" ",
    )
