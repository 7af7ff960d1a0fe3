"""Rows of a micro-batch to one sequence of tokens and its bounds, in one buffer that goes to the device in one copy.

    input_ids, segments, positions   INT32 [tokens]         the rows one after the other; positions count from 0 in each
    bounds                           INT32 [sequences + 1]  where each sequence begins, and where the last one ends

A batch may be packed into a larger shape, so that shapes repeat: further tokens form sequences of their own, which are not read, and
further sequences are empty. Knows no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from facade.reranking.tensors import Row
from reranker.engines.torch_packed.attention import Bounds
from reranker.engines.torch_packed.vision import Images

# Integers to which each part of the buffer is aligned: 16 bytes, below which compiled kernels would copy their inputs first.
ALIGNED = 4
# torch.compile would make separate kernels for one sequence; an empty one beside it costs nothing.
FEWEST_SEQUENCES = 2
FEWEST_IN_BUCKET = 8  # blocks of flash attention over empty sequences end at once; fewer shapes are worth more
SHORTEST_BUCKET = 64  # tokens: a block of rows in the kernels of matrix products

Buffer = NDArray[np.int32]


@dataclass(frozen=True)
class Shape:
    """What decides which kernels run: the sizes of the batch's tensors, and the longest sequence that attention allows for."""

    tokens: int
    sequences: int
    longest: int

    def split(self, buffer: Tensor) -> "PackedBatch":
        """The parts of a buffer of this shape; they share its memory."""
        step = _up(self.tokens, ALIGNED)
        ids, segments, positions = (buffer[start : start + self.tokens] for start in (0, step, 2 * step))
        return PackedBatch(ids, segments, positions, Bounds(buffer[3 * step : 3 * step + self.sequences + 1], self.longest))


@dataclass(frozen=True)
class PackedBatch:
    """A batch on the device, as the module's docstring says; `images`: where rows have any."""

    input_ids: Tensor
    segments: Tensor
    positions: Tensor
    bounds: Bounds
    images: Images | None = None


def exact_shape(lengths: Sequence[int]) -> Shape:
    """The shape of rows of these lengths, without any further token."""
    return Shape(sum(lengths), max(len(lengths), FEWEST_SEQUENCES), max(lengths))


def bucket(lengths: Sequence[int], max_seq_len: int) -> Shape:
    """One of a few shapes that holds the batch, at most a quarter more tokens above the smallest: what a recorded graph can be kept for."""
    tokens = sum(lengths)
    longest = min(_power_of_two(max(lengths)), max_seq_len)
    room = _quarter_step(max(tokens, SHORTEST_BUCKET))
    sequences = len(lengths) + -(-(room - tokens) // longest)
    return Shape(room, _power_of_two(max(sequences, FEWEST_IN_BUCKET)), longest)


def fill(rows: Sequence[Row], shape: Shape, filler: int) -> Buffer:
    """The buffer of `rows` in `shape`, whose further tokens are `filler`, a token id."""
    buffer = np.zeros(3 * _up(shape.tokens, ALIGNED) + _up(shape.sequences + 1, ALIGNED), np.int32)
    step = _up(shape.tokens, ALIGNED)
    lengths = _lengths(rows, shape)
    used = sum(len(row.input_ids) for row in rows)
    buffer[used : shape.tokens] = filler
    if rows:
        np.concatenate([row.input_ids for row in rows], out=buffer[:used], casting="same_kind")
        np.concatenate([row.token_type_ids for row in rows], out=buffer[step : step + used], casting="same_kind")
    places = buffer[3 * step : 3 * step + shape.sequences + 1]
    np.cumsum(lengths, dtype=np.int32, out=places[1:])
    np.subtract(np.arange(shape.tokens), np.repeat(places[:-1], lengths), out=buffer[2 * step : 2 * step + shape.tokens])
    return buffer


def _lengths(rows: Sequence[Row], shape: Shape) -> Buffer:
    """Tokens of every sequence: the rows', then pieces of the further tokens, then 0."""
    lengths = np.zeros(shape.sequences, np.int32)
    lengths[: len(rows)] = [len(row.input_ids) for row in rows]
    left, place = shape.tokens - int(lengths.sum()), len(rows)
    while left > 0:
        lengths[place] = min(left, shape.longest)
        left -= int(lengths[place])
        place += 1
    return lengths


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _quarter_step(count: int) -> int:
    """The next of ... 64, 80, 96, 112, 128, 160, ...: four sizes between a power of two and the next."""
    return _up(count, max((1 << (count - 1).bit_length() - 1) // 4, 1))
