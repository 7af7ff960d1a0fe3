"""A data URL or bare base64 to the bytes in it. Knows nothing of images."""

import base64
import binascii

from facade.reranking.image_file import UnusableImageError

_REFERENCES = ("http:", "https:", "file:", "ftp:", "s3:", "gs:", "asset_id", "nvcf")
_SPACES = str.maketrans("", "", " \t\r\n")


def decoded(data: str, most_bytes: int) -> bytes:
    """The bytes that `data` holds. Raises UnusableImageError for more of them than allowed, before decoding, and for what is not base64."""
    base64_text = _base64_of(data)
    if len(base64_text) * 3 // 4 > most_bytes + 2:
        base64_text = base64_text.translate(_SPACES)
        if len(base64_text) * 3 // 4 > most_bytes + 2:
            raise too_large(most_bytes)
    try:
        stripped = base64_text.translate(_SPACES).rstrip("=")
        content = base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise UnusableImageError("is not valid base64: send the file as a data URL, data:image/png;base64,...") from None
    if len(content) > most_bytes:
        raise too_large(most_bytes)
    return content


def too_large(most_bytes: int) -> UnusableImageError:
    """The error of a file that is over the limit."""
    return UnusableImageError(f"the file is larger than the {most_bytes} bytes that are allowed: send a smaller one", too_large=True)


def _base64_of(data: str) -> str:
    head = data[:64].lstrip().lower()
    if head.startswith("data:"):
        label, comma, rest = data.partition(",")
        if not comma or not label.rstrip().lower().endswith(";base64"):
            raise UnusableImageError("expected a data URL with base64: data:image/png;base64,...")
        return rest
    if head.startswith(_REFERENCES) or "://" in head:
        raise UnusableImageError("is a reference, and nothing is fetched: send the file as a data URL, data:image/png;base64,...")
    return data
