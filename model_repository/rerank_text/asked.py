"""The tensors of one call to its texts, checked by the rules of HTTP. Knows arrays, neither Triton nor tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facade.errors import InvalidRequestError
from facade.reranking.ranking import MAX_PASSAGES

QUERY = "query"
# The second name is that of NIM 2.4's documentation.
PASSAGE_NAMES = ("passage", "passages")
PASSAGE_IMAGE = "passage_image"
INPUTS = (QUERY, *PASSAGE_NAMES, PASSAGE_IMAGE)

Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Asked:
    """Texts of one call: a query for each passage. `truncate`: pairs over the limit are cut instead of refused. `size`: bytes received.

    `images`: data URLs or base64 by the index of their passage, not decoded.
    """

    queries: Sequence[str]
    passages: Sequence[str]
    truncate: bool
    size: int = field(compare=False)
    images: Mapping[int, str] = field(default_factory=dict)


def read(tensors: Mapping[str, Texts], parameters: Mapping[str, Any]) -> Asked:
    """Decode the tensors, BYTES [rows, 1] each. Raises InvalidRequestError, which says what to send instead."""
    names = [name for name in PASSAGE_NAMES if name in tensors]
    if len(names) != 1:
        found = "both are there" if names else "neither is there"
        raise InvalidRequestError(f"{' or '.join(PASSAGE_NAMES)}: send one of these inputs; {found}")
    if QUERY not in tensors:
        raise InvalidRequestError(f"{QUERY} is missing: send one text for all passages, or one for each")
    queries, passages = _decoded(tensors[QUERY], QUERY), _decoded(tensors[names[0]], names[0])
    _check(queries, passages, names[0])
    size = sum(len(text) for tensor in tensors.values() for text in tensor[:, 0])
    images = _images(tensors[PASSAGE_IMAGE], len(passages)) if PASSAGE_IMAGE in tensors else {}
    return Asked(queries if len(queries) == len(passages) else queries * len(passages), passages, _truncate(parameters), size, images)


def _check(queries: Sequence[str], passages: Sequence[str], name: str) -> None:
    if not passages:
        raise InvalidRequestError(f"{name}: empty, send at least 1 passage")
    if len(passages) > MAX_PASSAGES:
        raise InvalidRequestError(f"{name}: {len(passages)} passages, the most in one request is {MAX_PASSAGES}: split them over several")
    if len(queries) not in {1, len(passages)}:
        raise InvalidRequestError(f"{QUERY}: {len(queries)} texts for {len(passages)} passages; send one for all of them, or one for each")
    if not all(queries):
        raise InvalidRequestError(f"{QUERY}: empty, send some text")


def _images(tensor: Texts, passages: int) -> dict[int, str]:
    """The images that there are; an empty one is none."""
    if len(tensor) != passages:
        raise InvalidRequestError(f"{PASSAGE_IMAGE}: {len(tensor)} images for {passages} passages; send one for each, empty for none")
    return {index: text for index, text in enumerate(_decoded(tensor, PASSAGE_IMAGE)) if text}


def _decoded(texts: Texts, name: str) -> list[str]:
    try:
        return [text.decode() for text in texts[:, 0]]
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{name}: not valid UTF-8; encode the text as UTF-8") from None


def _truncate(parameters: Mapping[str, Any]) -> bool:
    value = parameters.get("truncate", "NONE")
    if not isinstance(value, str) or value.upper() not in {"END", "NONE"}:
        raise InvalidRequestError("truncate: expected END or NONE")
    return value.upper() == "END"
