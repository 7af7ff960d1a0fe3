"""Bodies of a ranking request, what refuses them, and marked text by which a leak into a refusal is found."""

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest

from facade.api.body_images import read_with_images
from facade.api.nim import HOSTED, STRICT
from facade.api.passage_images import ImageReader
from facade.api.shape import Allowed, Asked, Shape
from facade.errors import InvalidRequestError

BOTH = pytest.mark.parametrize("shape", [STRICT, HOSTED], ids=["strict", "hosted"])

# Planted wherever a caller's text may stand; found in a message, it has leaked. Short, since a leak may be cut.
TEXT_MARKER, NUMBER_MARKER = "kestrel", 90210


def body(content: object) -> bytes:
    return orjson.dumps(content)


def request(**changes: object) -> dict[str, Any]:
    return {"query": {"text": "which way?"}, "passages": [{"text": "left"}, {"text": "right"}], **changes}


def parse(shape: Shape, content: bytes, images: ImageReader | None = None) -> Asked:
    """The request in a body of at most 1,000 passages."""
    values, cuts = read_with_images(content)
    return shape.parse(values, Allowed(1_000, images and replace(images, cuts=cuts)))


def refusal_of(content: bytes, shape: Shape = STRICT, images: ImageReader | None = None) -> InvalidRequestError | None:
    """None where the body is taken."""
    try:
        parse(shape, content, images)
    except InvalidRequestError as error:
        return error
    return None


def refusal(content: bytes, shape: Shape = STRICT) -> InvalidRequestError:
    error = refusal_of(content, shape)
    assert error, "the body was taken"
    return error


def faults(error: InvalidRequestError) -> dict[str, str]:
    return {fault["path"]: fault["message"] for fault in error.detail["errors"]}


def quotes_nothing(error: InvalidRequestError) -> bool:
    told = error.message + json.dumps(error.detail)
    return TEXT_MARKER not in told and str(NUMBER_MARKER) not in told
