"""Bytes -> JSON values, with words for bytes that are none. Quotes nothing of them."""

from typing import Any

import orjson

from facade.errors import InvalidRequestError

_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_json(content: bytes | bytearray) -> Any:
    """The values in `content`, which has to be UTF-8. Raises InvalidRequestError that says where it is no JSON, or what it is instead."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        place, reason = _other_bytes(content) or ((error.lineno, error.colno), str(error).partition(": line")[0])
        raise InvalidRequestError(f"the body is no valid JSON at line {place[0]}, column {place[1]}: {reason}") from None


def _other_bytes(content: bytes | bytearray) -> tuple[tuple[int, int], str] | None:
    """Line and column where the bytes stop being UTF-8, and what they are instead; None where they are UTF-8."""
    if content.startswith(_GZIP):
        return (1, 1), "it is gzip, and no Content-Encoding says so; add the header, or send it plain"
    if content.startswith(_UTF8_MARK):
        return (1, 1), "it begins with a byte order mark; send UTF-8 without one"
    if content.startswith(_UTF16_MARKS) or (b"\0" in content[:4] and len(content) >= 4):
        return (1, 1), "it is UTF-16 or UTF-32; send UTF-8"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        return place, "it is not UTF-8 from there on, as a text in Latin-1 or Windows-1252; send UTF-8"
    return None
