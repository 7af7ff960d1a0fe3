"""Token ids as bytes: INT32 each, in this machine's order. 4 bytes a token, where a list has 8, and 32 more for an integer of its own.

So a row is cut, joined, compared and hashed as bytes are, which is also faster. Knows nothing of what the ids stand for.
"""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ids = bytes

WIDTH = 4  # bytes of an id


def packed(ids: Sequence[int]) -> Ids:
    """The ids as bytes."""
    return array("i", ids).tobytes()


def unpacked(ids: Ids) -> NDArray[np.int32]:
    """The same as an array INT32 [tokens], which shares their memory and can't be written to."""
    return np.frombuffer(ids, np.int32)


def count(ids: Ids) -> int:
    """How many there are."""
    return len(ids) // WIDTH


def first(ids: Ids, most: int) -> Ids:
    """The first `most` of them."""
    return ids[: WIDTH * most]
