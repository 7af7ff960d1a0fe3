"""python -m pytest tests/unit/rerank_text/test_images.py

The images of a text call are read once each, within the limits, and a bad one is named by its passage.
"""

from base64 import b64encode
from dataclasses import replace

import pytest

from facade.config.image_settings import ImageSettings
from facade.errors import ImageError
from rerank_text.images import read_images
from tests.unit.reranker.seeing import BLOCK, png

SETTINGS = replace(ImageSettings.from_environment({}), images_per_request=2, image_tiles_per_request=4)


def text(content: bytes) -> str:
    return b64encode(content).decode()


def test_equal_files_are_one_image() -> None:
    page = png(9, 8, 16)
    images = read_images({0: text(page), 3: f"data:image/png;base64,{text(page)}"}, BLOCK, SETTINGS)
    assert images[0] is images[3]
    assert (images[0].content, images[0].tiles) == (page, 3)


@pytest.mark.parametrize(
    ("given", "index", "reason"),
    [
        ({2: text(b"no image")}, 2, "PNG, JPEG"),
        ({0: text(png(1)), 5: "https://example.org/page.png"}, 5, "fetched"),
        ({1: "!"}, 1, "base64"),
    ],
)
def test_a_bad_image_is_named_by_its_passage(given: dict[int, str], index: int, reason: str) -> None:
    with pytest.raises(ImageError) as raised:
        read_images(given, BLOCK, SETTINGS)
    assert raised.value.index == index
    assert reason in raised.value.reason


def test_a_model_of_text_alone_takes_none() -> None:
    with pytest.raises(ImageError, match="this model ranks text"):
        read_images({0: text(png(1))}, None, SETTINGS)


@pytest.mark.parametrize(
    ("files", "index", "reason"),
    [([png(1), png(2), png(3)], 2, "2 different images"), ([png(1), png(1, 16, 16)], 1, "have 6 tiles, 4 are allowed")],
)
def test_the_image_that_is_one_too_many_is_named(files: list[bytes], index: int, reason: str) -> None:
    with pytest.raises(ImageError, match=reason) as raised:
        read_images({index: text(content) for index, content in enumerate(files)}, BLOCK, SETTINGS)
    assert raised.value.index == index


def test_images_behind_one_too_many_are_not_read() -> None:
    files = [png(1), png(2), png(3), b"no image"]
    with pytest.raises(ImageError, match="2 different images"):
        read_images({index: text(content) for index, content in enumerate(files)}, BLOCK, SETTINGS)
