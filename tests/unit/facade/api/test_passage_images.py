"""python -m pytest tests/unit/facade/api/test_passage_images.py

Images of a body become files by their passages, or faults beside all others; equal files become one image.
"""

import base64
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from facade.api.nim import HOSTED, STRICT
from facade.api.passage_images import ImageReader
from facade.api.shape import Shape
from facade.reranking.bundle import Bundle
from facade.reranking.images import ImageLimits
from facade.reranking.images.request_images import RequestImages
from tests.unit.facade.bodies import BOTH, TEXT_MARKER, body, faults, parse, quotes_nothing, refusal_of, request

ANY = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "image", "query"]), inner, max_size=3),
    max_leaves=8,
)


def picture(colour: str, width: int = 8) -> str:
    file = io.BytesIO()
    Pillow.new("RGB", (width, 8), colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def reader(vision: Bundle) -> ImageReader:
    return reader_of(vision)


def reader_of(vision: Bundle) -> ImageReader:
    """A reader of one request's images."""
    assert vision.image
    return ImageReader(RequestImages(vision.image, ImageLimits(10_000, 10_000), most_images=3, most_tiles=9))


def refused(reader: ImageReader, **changes: object) -> dict[str, str]:
    """The faults of a body with these changes."""
    error = refusal_of(body(request(**changes)), STRICT, reader)
    assert error
    return faults(error)


@BOTH
def test_each_image_comes_with_its_passage(shape: Shape, reader: ImageReader) -> None:
    red, blue = picture("red"), picture("blue", 17)
    passages = [{"text": "a"}, {"image": red}, {"text": "b", "image": f"data:image/png;base64,{blue}"}, {"text": "c", "image": red}]
    asked = parse(shape, body(request(passages=passages)), reader)
    assert asked.passage_texts == ["a", "", "b", "c"]
    without, first, second, third = asked.passage_images
    assert without is None
    assert first is third
    assert first
    assert second
    assert (first.content, second.content) == (base64.b64decode(red), base64.b64decode(blue))
    assert (first.tiles, second.tiles) == (1, 3)


@BOTH
def test_a_request_of_text_alone_has_no_images(shape: Shape, reader: ImageReader) -> None:
    assert parse(shape, body(request()), reader).passage_images == ()
    assert parse(shape, body(request())).passage_images == ()


def test_too_many_images_are_one_fault_and_the_rest_is_not_read(reader: ImageReader) -> None:
    images = [{"image": picture(colour)} for colour in ("red", "red", "blue", "green", "black", "white")]
    assert list(refused(reader, passages=[*images, {"image": 7}])) == ["passages[4].image"]


def test_too_many_tiles_are_one_fault(reader: ImageReader) -> None:
    images = [{"image": picture(colour, 40)} for colour in ("red", "blue")]
    assert "have 12 tiles, 9 are allowed" in refused(reader, passages=images)["passages[1].image"]


def test_an_image_of_a_query_does_not_hide_the_querys_other_faults(reader: ImageReader) -> None:
    assert set(refused(reader, query={"image": picture("red")})) == {"query.image", "query.text"}


@given(
    passages=st.lists(st.fixed_dictionaries({}, optional={"text": ANY, "image": ANY | st.just(TEXT_MARKER)}) | ANY, max_size=4), query=ANY
)
def test_whatever_a_body_has_it_is_read_or_refused_without_being_quoted(vision: Bundle, passages: Any, query: Any) -> None:
    for shape in (STRICT, HOSTED):
        error = refusal_of(body({"query": query, "passages": passages}), shape, reader_of(vision))
        assert error is None or quotes_nothing(error)
