"""Whether the placeholders of a call's rows fit its images. Knows arrays, neither pixels nor files."""

import numpy as np
from numpy.typing import NDArray

from facade.reranking.image_block import ImageBlock


def faulty_rows(
    ids: NDArray[np.int64], kept: NDArray[np.bool_], has_image: NDArray[np.bool_], block: ImageBlock
) -> dict[str, NDArray[np.bool_]]:
    """Each fault in words, and which rows have it, BOOL [rows, 1]. `ids` and `kept`: [rows, tokens]; `has_image`: [rows].

    How many tiles an image has is not known here, only that it has a whole number of them.
    """
    placeholders = ((ids == block.placeholder_id) & kept).sum(axis=1)
    whole = (placeholders > 0) & (placeholders % block.tokens_per_tile == 0)
    return {
        "placeholders of an image, and no image": (~has_image & (placeholders > 0))[:, None],
        f"an image whose placeholders are not {block.tokens_per_tile} for each tile": (has_image & ~whole)[:, None],
    }
