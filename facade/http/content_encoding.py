"""Compressed bodies, decompressed as their Content-Encoding says. Knows no HTTP library.

aiohttp's own decompression is switched off: it blocks the event loop, accepts a gzip body that is cut off, and logs a traceback where the
bytes have another encoding.
"""

import zlib

from facade.errors import BodyTooLargeError, InvalidRequestError, UnsupportedEncodingError

ACCEPTED = "gzip, deflate"
_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_BARE_DEFLATE = -zlib.MAX_WBITS  # without zlib's frame, as some clients send `deflate`
# gzip files may be joined. Each one costs a copy of what follows it, so a body of millions of empty ones is refused.
_MOST_MEMBERS = 16


def encoding_of(header: str) -> str:
    """The one encoding that the value of a Content-Encoding header names: gzip, deflate, or empty for a plain body.

    Raises UnsupportedEncodingError for any other, and for several on top of each other.
    """
    names = [name for part in header.split(",") if (name := part.strip().lower()) not in {"", "identity"}]
    if not names:
        return ""
    if names not in (["gzip"], ["x-gzip"], ["deflate"]):
        raise UnsupportedEncodingError(f"this Content-Encoding is not supported: send the body plain, or as one of {ACCEPTED}")
    return names[0].removeprefix("x-")


def unpacked(body: bytes | bytearray, encoding: str, limit: int) -> bytes:
    """The plain body, of `limit` bytes at most. Takes milliseconds a MiB, so it belongs in a thread.

    Raises BodyTooLargeError beyond the limit, InvalidRequestError where the body is cut off or of another encoding.
    """
    try:
        return _members(body, limit, _GZIP, _MOST_MEMBERS) if encoding == "gzip" else _members(body, limit, _deflate(body), 1)
    except (zlib.error, _WrongEncodingError):
        raise InvalidRequestError(f"the body is not {encoding}, as Content-Encoding says, or is cut off: send it whole, or plain") from None


class _WrongEncodingError(Exception):
    """The bytes end too early, or go on behind the end."""


def _deflate(body: bytes | bytearray) -> int:
    return _ZLIB if body[:1] and body[0] & 0x0F == 8 else _BARE_DEFLATE


def _members(body: bytes | bytearray, limit: int, window: int, most: int) -> bytes:
    parts: list[bytes] = []
    room = limit
    for _ in range(most):
        member = zlib.decompressobj(window)
        parts.append(member.decompress(body, room + 1))
        room -= len(parts[-1])
        if room < 0:
            raise BodyTooLargeError(limit)
        if not member.eof:
            break
        body = member.unused_data
        if not body:
            return b"".join(parts)
    raise _WrongEncodingError
