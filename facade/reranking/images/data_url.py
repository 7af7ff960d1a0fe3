"""A data URL or bare base64 to the bytes in it. Knows no image formats; a data URL's label is not read."""

import binascii

from facade.reranking.images.limits import UnusableImageError, too_large

_EXAMPLE = "data:image/png;base64,..."
_BLANKS = b" \t\r\n"  # clients break base64 into lines
_LONGEST_LABEL = 256


def bytes_in(data: str, most: int) -> bytes:
    """The bytes that `data` holds. Raises UnusableImageError for a reference, for anything but base64, and, without decoding it, for
    more than `most` bytes.
    """
    if len(data) > 2 * most + _LONGEST_LABEL:  # with any blanks
        raise too_large(most)
    try:
        base64 = _base64_in(data).encode("ascii").translate(None, _BLANKS).rstrip(b"=")
    except UnicodeEncodeError:
        raise _not_base64() from None
    if len(base64) * 3 // 4 > most:
        raise too_large(most)
    try:
        return binascii.a2b_base64(base64 + b"=" * (-len(base64) % 4), strict_mode=True)
    except binascii.Error:
        raise _not_base64() from None


def _base64_in(data: str) -> str:
    label, comma, _ = data[:_LONGEST_LABEL].partition(",")
    words = label.strip().lower()
    if words.startswith("data:"):
        if comma and words.endswith(";base64"):
            return data[len(label) + 1 :]
        raise UnusableImageError(f"expected a data URL with base64, {_EXAMPLE}")
    if ":" in words:  # never in base64
        raise UnusableImageError(f"references are not fetched: send the file itself as a data URL, {_EXAMPLE}")
    return data


def _not_base64() -> UnusableImageError:
    return UnusableImageError(f"expected base64: a data URL, {_EXAMPLE}, or the base64 alone")
