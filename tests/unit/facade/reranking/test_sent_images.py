"""python -m pytest tests/unit/facade/reranking/test_sent_images.py

What is remembered of the images that a model has had is bounded, and the last used ones stay; a call's files are bounded in bytes.
"""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import pytest

from facade.reranking.bundle import Bundle
from facade.reranking.chunks import Chunk, chunks
from facade.reranking.images import Image
from facade.reranking.pairs import PairTokenizer
from facade.reranking.sent_images import SentImages, refused_image
from facade.reranking.tensors import DIGEST_MARK, IMAGE, Inputs

MIB = 1 << 20


def chunk_of(*files: bytes) -> Chunk:
    images = np.array([[content] for content in files], np.object_)
    return Chunk([*range(len(files))], {IMAGE: images}, tuple(sha256(content).digest() for content in files))


async def travelling(images: SentImages, *files: bytes) -> list[bool]:
    """Whether each file travels as such."""

    async def ask(inputs: Inputs) -> list[bool]:
        return [not content.startswith(DIGEST_MARK) for content in inputs[IMAGE][:, 0]]

    return await images.call(chunk_of(*files), ask)


async def test_the_last_used_images_are_remembered() -> None:
    images = SentImages(most=2)
    assert await travelling(images, b"a", b"b") == [True, True]
    assert await travelling(images, b"a") == [False]
    assert await travelling(images, b"c") == [True]
    assert await travelling(images, b"a", b"b", b"a") == [False, True, False]
    assert len(images) == 2


@pytest.mark.parametrize("text", ["", "the image of a row", "this server has bundle 00", "row 3: no token"])
def test_other_refusals_are_not_of_images(text: str) -> None:
    assert refused_image(text) is None


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([3, 3, 3, 3], [[0, 1], [2, 3]]),
        ([9, 1, 9, 1], [[0], [1], [2], [3]]),
        ([8, 8], [[0], [1]]),
        ([4, 4, 1], [[0, 1], [2]]),
        ([1] * 5, [[0, 1, 2, 3, 4]]),
    ],
)
def test_the_files_of_one_call_have_at_most_8_mib(vision: Bundle, sizes: Sequence[int], parts: list[list[int]]) -> None:
    images = [Image(bytes(size * MIB), bytes([place]) * 32, 1) for place, size in enumerate(sizes)]
    pairs = PairTokenizer(vision, 64).encode("q", ["a"] * len(sizes), truncate=False, images=images)
    made = list(chunks(pairs, 1 << 20))
    assert [chunk.indexes for chunk in made] == parts
    assert [list(chunk.digests) for chunk in made] == [[images[index].digest for index in part] for part in parts]


def test_the_images_of_one_call_have_at_most_256_tiles(vision: Bundle) -> None:
    images = [Image(bytes([place]), bytes([place]) * 32, 7) for place in range(100)]
    pairs = PairTokenizer(vision, 64).encode("q", ["a"] * 100, truncate=False, images=images)
    assert [len(chunk.indexes) for chunk in chunks(pairs, 1 << 20)] == [36, 36, 28]


def test_an_image_that_comes_twice_counts_once(vision: Bundle) -> None:
    image = Image(bytes(5 * MIB), bytes(32), 1)
    pairs = PairTokenizer(vision, 64).encode("q", ["a", "b", "c"], truncate=False, images=[image] * 3)
    assert [chunk.indexes for chunk in chunks(pairs, 1 << 20)] == [[0, 1, 2]]


def test_rows_with_and_without_an_image_are_in_calls_of_their_own(vision: Bundle) -> None:
    image = Image(b"page", bytes(32), 1)
    pairs = PairTokenizer(vision, 64).encode("q", ["a", "b", "c"], truncate=False, images=[None, image, None])
    by_indexes = {tuple(chunk.indexes): chunk for chunk in chunks(pairs, 1 << 20)}
    assert set(by_indexes) == {(0, 2), (1,)}
    assert IMAGE not in by_indexes[0, 2].inputs
    assert by_indexes[1,].inputs[IMAGE].tolist() == [[b"page"]]
