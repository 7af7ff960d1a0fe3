"""Token ids as bytes: INT32 each, in the machine's byte order. 4 bytes a token, where a list has 8, and 32 more for the integer.

A row is cut, joined, compared and hashed as bytes, which is also faster. Does not know what the ids stand for.
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
    """The ids as a read-only array INT32 [tokens] over the same memory."""
    return np.frombuffer(ids, np.int32)


def count(ids: Ids) -> int:
    """The number of ids."""
    return len(ids) // WIDTH


def first(ids: Ids, most: int) -> Ids:
    """The first `most` ids."""
    return ids[: WIDTH * most]
