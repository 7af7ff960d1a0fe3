"""python -m pytest tests/unit/facade/api/test_body_images.py

A body with the data of its images cut out has the values that it has whole, and each image its own data; a body that is no JSON is refused
as it came.
"""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.api.body_images import Cut, read_with_images
from facade.errors import InvalidRequestError
from facade.reranking.images import UnusableImageError

LONG = "iVBORw0KGgo/" * 500
TEXT = st.sampled_from(["", "image", '"image": "', "a\\", "\n", LONG, LONG + "=", LONG + "\n", LONG + "\\", LONG + '"', "\u00e9" * 9000])
VALUE = st.recursive(
    TEXT | st.none() | st.integers(0, 9), lambda inner: st.dictionaries(TEXT, inner, max_size=4) | st.lists(inner, max_size=4)
)


def joined(value: Any, cuts: dict[str, Cut]) -> Any:
    """The value with what was cut out put back."""
    if isinstance(value, dict):
        whole = {key: joined(each, cuts) for key, each in value.items()}
        image = whole.get("image")
        return whole | {"image": cuts[image].text()} if isinstance(image, str) and image in cuts else whole
    return [joined(each, cuts) for each in value] if isinstance(value, list) else value


@given(VALUE, st.booleans(), st.sampled_from([None, 1]))
def test_nothing_is_lost(value: Any, ascii_only: bool, indent: int | None) -> None:
    content, cuts = read_with_images(json.dumps({"passages": [{"image": LONG}, value]}, ensure_ascii=ascii_only, indent=indent).encode())
    assert joined(content, cuts) == {"passages": [{"image": LONG}, value]}


def test_long_data_is_cut_out_whatever_stands_around_it() -> None:
    body = b'{"image" : \t\n"%b", "a": {"image":"%b"}, "b": "image", "image2": "%b"}' % ((LONG.encode(),) * 3)
    content, cuts = read_with_images(body)
    first, second = cuts
    assert content == {"image": first, "a": {"image": second}, "b": "image", "image2": LONG}
    assert [cut.text() for cut in cuts.values()] == [LONG, LONG]


def test_escapes_in_the_data_are_undone() -> None:
    escaped = LONG.replace("/", "\\/")
    assert escaped != LONG
    _, cuts = read_with_images(b'{"image": "%b"}' % escaped.encode())
    assert [cut.text() for cut in cuts.values()] == [LONG]


@pytest.mark.parametrize("raw", [b"\\x" + b"A" * 5000, b"\xff" + b"A" * 5000])
def test_data_that_is_no_text_of_json_is_the_images_fault(raw: bytes) -> None:
    _, cuts = read_with_images(b'{"image": "%b"}' % raw)
    (cut,) = cuts.values()
    with pytest.raises(UnusableImageError, match="expected base64"):
        cut.text()


@pytest.mark.parametrize("end", [b"", b'"', b'"}]', b'"} x', b'": 1}'])
def test_a_body_that_is_no_json_is_refused_with_the_place_in_it(end: bytes) -> None:
    body = b'{"image": "%b' % LONG.encode() + end
    with pytest.raises(orjson.JSONDecodeError) as expected:
        orjson.loads(body)
    with pytest.raises(InvalidRequestError, match=rf"line {expected.value.lineno}, column {expected.value.colno}:"):
        read_with_images(body)
