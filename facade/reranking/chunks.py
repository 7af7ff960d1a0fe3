"""Pairs -> rows -> chunks -> logits: each chunk is one call to the model, a bounded number of calls run at a time.

The bound keeps a request of 512 passages from delaying a small one: Triton's queue holds a few of its chunks, never all. The files of a
chunk's images are bounded, too: Triton keeps as much shared memory as its largest call took. Knows neither transport nor model.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np

from facade.errors import ScoringError
from facade.reranking.batching import plan
from facade.reranking.images import Image
from facade.reranking.pairs import NO_EXTRA, Extra, TokenPairs
from facade.reranking.tensors import IMAGE, INPUT_IDS, MOST_TILES, Inputs, Logits, Row, pack
from facade.reranking.token_ids import count, unpacked

# Of the different images of one call; a larger one is sent alone.
_MOST_FILE_BYTES = 8 << 20


@dataclass(frozen=True)
class Chunk:
    """Rows of similar length: the inputs of one call to the model. `indexes` are those of their pairs.

    `digests`: SHA-256 of each row's image; empty where the rows have no images.
    """

    indexes: list[int]
    inputs: Inputs
    digests: tuple[bytes, ...] = ()

    @property
    def computed_tokens(self) -> int:
        """Tokens, padding included."""
        return self.inputs[INPUT_IDS].size


def chunks(pairs: TokenPairs, token_budget: int) -> Iterator[Chunk]:
    """The pairs, of equal ones the first, as chunks of at most `token_budget` tokens each, padding included, packed one at a time."""
    for firsts in _alike(pairs):
        for batch in plan([count(pairs.rows[index]) for index in firsts], token_budget):
            for indexes in _by_images(pairs, [firsts[place] for place in batch]):
                digests = tuple(pairs.images[index].digest for index in indexes if index in pairs.images)
                yield Chunk(indexes, pack(pair_rows(pairs, indexes), pairs.bundle), digests)


def _by_images(pairs: TokenPairs, indexes: list[int]) -> Iterator[list[int]]:
    """The indexes, in parts whose different images are within `_MOST_FILE_BYTES` and `MOST_TILES` together."""
    if not pairs.images:
        yield indexes
        return
    part: list[int] = []
    images: dict[bytes, Image] = {}
    for index in indexes:
        if image := pairs.images.get(index):
            images[image.digest] = image
            if part and not _fit_one_call(images.values()):
                yield part
                part, images = [], {image.digest: image}
        part.append(index)
    yield part


def _fit_one_call(images: Collection[Image]) -> bool:
    return sum(len(image.content) for image in images) <= _MOST_FILE_BYTES and sum(image.tiles for image in images) <= MOST_TILES


def _extra(pairs: TokenPairs, index: int) -> Extra:
    """What a row has beside its tokens."""
    extra, image = pairs.extras.get(index, NO_EXTRA), pairs.images.get(index)
    return {**extra, IMAGE: np.array([image.content], np.object_)} if image else extra


def _alike(pairs: TokenPairs) -> list[list[int]]:
    """The pairs that are first of their kind, grouped by the shapes of their further inputs, which are equal in all rows of a call."""
    firsts = sorted(set(pairs.firsts))
    if not pairs.extras and not pairs.images:
        return [firsts]
    groups: dict[frozenset[tuple[str, tuple[int, ...]]], list[int]] = {}
    for index in firsts:
        shapes = frozenset((name, array.shape) for name, array in _extra(pairs, index).items())
        groups.setdefault(shapes, []).append(index)
    return list(groups.values())


def pair_rows(pairs: TokenPairs, indexes: Sequence[int]) -> list[Row]:
    """The rows of the pairs at `indexes`. Their first `query_length` tokens are segment 0, or all where the bundle has no segment ids."""
    ids = [unpacked(pairs.rows[index]).astype(np.int64) for index in indexes]
    segments = np.zeros(max(map(len, ids), default=0), np.int64)
    if pairs.bundle.pair_encoding.segment_ids:
        segments[pairs.query_length :] = 1
    extras = [_extra(pairs, index) for index in indexes]
    return [Row(own, segments[: len(own)], extra) for own, extra in zip(ids, extras, strict=True)]


async def gather_logits(
    chunks: Iterator[Chunk], firsts: Sequence[int], in_flight: int, call: Callable[[Chunk], Awaitable[Logits]]
) -> Logits:
    """Logits FP32 [pairs], each at its pair's index; a pair that is not the first of its kind gets the logit of the first.

    At most `in_flight` calls run at a time, and until one with an image has been answered, no other one with it. The first error of `call`
    is raised, and the other calls are cancelled.
    """
    logits = np.full(len(firsts), np.nan, np.float32)
    had: set[bytes] = set()
    sending: defaultdict[bytes, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def work() -> None:
        for chunk in chunks:  # one iterator for all workers: each takes the next chunk
            async with AsyncExitStack() as stack:
                for digest in sorted(set(chunk.digests) - had):  # in one order, so that no two wait for each other
                    await stack.enter_async_context(sending[digest])
                answer = await call(chunk)
                had.update(chunk.digests)
            if answer.shape != (len(chunk.indexes),):  # NumPy would spread a single logit over all rows
                raise ScoringError(f"the model gave {answer.shape} logits for {len(chunk.indexes)} pairs")
            logits[chunk.indexes] = answer

    workers = [asyncio.ensure_future(work()) for _ in range(in_flight)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return logits[firsts]
