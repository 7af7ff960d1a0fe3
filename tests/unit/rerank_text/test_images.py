"""python -m pytest tests/unit/rerank_text/test_images.py

The images of a text call are read once each, within the limits, and a bad one is named by its passage.
"""

from base64 import b64encode

import pytest

from facade.errors import ImageError, InvalidRequestError
from rerank_text.images import ImageReader
from tests.unit.reranker.seeing import BLOCK, LIMITS, png

READER = ImageReader(LIMITS, most_images=2, most_tiles=4)


def text(content: bytes) -> str:
    return b64encode(content).decode()


def test_equal_files_are_one_image() -> None:
    page = png(9, 8, 16)
    images = READER.read({0: text(page), 3: f"data:image/png;base64,{text(page)}"}, BLOCK)
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
        READER.read(given, BLOCK)
    assert raised.value.index == index
    assert reason in raised.value.reason


def test_a_model_of_text_alone_takes_none() -> None:
    with pytest.raises(ImageError, match="this model ranks text"):
        READER.read({0: text(png(1))}, None)


@pytest.mark.parametrize("files", [[png(1), png(2), png(3)], [png(1, 16, 16)]])
def test_more_than_a_request_may_have_are_refused(files: list[bytes]) -> None:
    with pytest.raises(InvalidRequestError, match="the most in one call are 2 of 4"):
        READER.read({index: text(content) for index, content in enumerate(files)}, BLOCK)
