"""A JSON body with the data of its images cut out, so that the parser takes no time over it.

orjson holds the interpreter while it parses: 0.8 s for 512 pages, in which no other request gets on. The data is base64, which has nothing
to parse. Knows no request shape.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Any

import orjson

from facade.api.json_text import read_json
from facade.errors import InvalidRequestError
from facade.reranking.images import UnusableImageError

_KEY = b'"image"'
_OPENING = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*"')
# Bytes; shorter data stays in the body.
_SHORTEST = 4096


@dataclass(frozen=True)
class Cut:
    """Where a body has the text of a string, its quotes left out."""

    body: bytes | bytearray
    start: int
    end: int

    def text(self) -> str:
        """The string. Raises UnusableImageError where it is no valid JSON."""
        raw = self.body[self.start : self.end]
        try:
            text: str = orjson.loads(b'"%b"' % bytes(raw)) if b"\\" in raw else raw.decode()
        except (orjson.JSONDecodeError, UnicodeDecodeError):
            raise UnusableImageError("expected base64: a data URL, data:image/png;base64,..., or the base64 alone") from None
        return text


def read_with_images(body: bytes | bytearray) -> tuple[Any, dict[str, Cut]]:
    """The values in `body`, and what was cut out by the text that stands for it. Raises InvalidRequestError as `read_json` does."""
    rest, cuts = _cut(body)
    if not cuts:
        return read_json(body), {}
    try:
        return read_json(rest), cuts
    except InvalidRequestError:
        return read_json(body), {}  # raises the error with the place in the body as it came


def _cut(body: bytes | bytearray) -> tuple[bytes, dict[str, Cut]]:
    """The body without the long strings that are the value of a key `image`, and these.

    A quote without a backslash in front of it begins or ends a string, so the key is none inside of a text.
    """
    parts: list[bytes | bytearray] = []
    cuts: dict[str, Cut] = {}
    mark = secrets.token_hex(8)  # no body has it
    done = at = 0
    while (at := body.find(_KEY, at)) >= 0:
        opening = _OPENING.match(body, at + len(_KEY))
        start = opening.end() if opening else 0
        end = body.find(b'"', start)
        if not opening or body[at - 1 : at] == b"\\" or end - start < _SHORTEST or body[end - 1 : end] == b"\\":
            at += len(_KEY)
            continue
        name = f"{mark}{len(cuts)}"
        cuts[name] = Cut(body, start, end)
        parts += [body[done:start], name.encode()]
        done = at = end
    return b"".join([*parts, body[done:]]), cuts
