"""The values of a body of the NIM's shapes before they are validated: nulls that mean nothing, crowds of fields, and images.

Knows no models of pydantic and no HTTP library.
"""

from typing import Any

from facade.api.faults import Fault
from facade.api.passage_images import ImageReader, read_images
from facade.errors import InvalidRequestError
from facade.reranking.image_block import NO_IMAGES
from facade.reranking.images import Image
from facade.reranking.ranking import MAX_PASSAGES

# An object with more fields than this is no mistake: it is refused before each of millions of them becomes a fault of its own.
_MAX_FIELDS = 32


def _passages(content: Any) -> list[Any]:
    passages = content.get("passages") if isinstance(content, dict) else None
    return passages if isinstance(passages, list) else []


def refuse_crowds(content: Any, most: int) -> None:
    """Raise InvalidRequestError for an object with a crowd of fields, of which the body's own has at most `most`."""
    query = content.get("query") if isinstance(content, dict) else None
    for entry in (content, query, *_passages(content)):
        if isinstance(entry, dict) and len(entry) > _MAX_FIELDS:
            raise InvalidRequestError(f"an object with {len(entry)} fields, expected at most {most}")


def drop_nulls(content: Any) -> None:
    """Take out fields whose null means what their absence does; clients send them for all of their values."""
    if not isinstance(content, dict):
        return
    if content.get("truncate", "") is None:
        del content["truncate"]
    for entry in (content.get("query"), *_passages(content)):
        if isinstance(entry, dict) and entry.get("image", "") is None:
            del entry["image"]


def image_path(index: int) -> str:
    """Where a fault of a passage's image is."""
    return f"passages[{index}].image"


def take_images(content: Any, reader: ImageReader | None) -> tuple[dict[str, Image], list[Fault]]:
    """Take the images out of a body: each by its path, or as a fault. A passage with an image needs no text.

    Without a reader each is a fault, also where other unknown fields are ignored.
    Passages beyond the limit are one fault of their own, so that a body of millions of them does not become as many faults.
    """
    given: dict[str, Any] = {}
    for index, entry in enumerate(_passages(content)[:MAX_PASSAGES]):
        if isinstance(entry, dict) and "image" in entry:
            given[image_path(index)] = entry.pop("image")
            if entry.get("text") is None:
                entry["text"] = ""
    query = content.get("query") if isinstance(content, dict) else None
    of_query = isinstance(query, dict) and query.pop("image", query) is not query
    images, faults = read_images(given, reader)
    return images, [*faults, *([Fault("query.image", "a query is text alone; leave it out" if reader else NO_IMAGES)] if of_query else [])]
