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
INPUTS = (QUERY, *PASSAGE_NAMES)

Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Asked:
    """Texts of one call: a query for each passage. `truncate`: pairs over the limit are cut instead of refused. `size`: bytes received."""

    queries: Sequence[str]
    passages: Sequence[str]
    truncate: bool
    size: int = field(compare=False)


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
    size = sum(len(text) for name in (QUERY, names[0]) for text in tensors[name][:, 0])
    return Asked(queries if len(queries) == len(passages) else queries * len(passages), passages, _truncate(parameters), size)


def _check(queries: Sequence[str], passages: Sequence[str], name: str) -> None:
    if not passages:
        raise InvalidRequestError(f"{name}: empty, send at least 1 passage")
    if len(passages) > MAX_PASSAGES:
        raise InvalidRequestError(f"{name}: {len(passages)} passages, the most in one request is {MAX_PASSAGES}: split them over several")
    if len(queries) not in {1, len(passages)}:
        raise InvalidRequestError(f"{QUERY}: {len(queries)} texts for {len(passages)} passages; send one for all of them, or one for each")
    if not all(queries):
        raise InvalidRequestError(f"{QUERY}: empty, send some text")


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
