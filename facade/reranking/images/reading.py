"""An image's file to its format, size and orientation, without decoding. Knows no pixels.

The first bytes of a file say what it is.
"""

import struct
from collections.abc import Callable

from facade.reranking.images import formats, tiff
from facade.reranking.images.header import Header
from facade.reranking.images.limits import ImageLimits, UnusableImageError, too_large

_READERS: dict[bytes, Callable[[bytes], Header]] = {
    b"\x89PNG\r\n\x1a\n": formats.png,
    b"\xff\xd8\xff": formats.jpeg,
    b"RIFF": formats.webp,
    b"GIF87a": formats.gif,
    b"GIF89a": formats.gif,
    b"BM": formats.bmp,
    b"II*\0": tiff.tiff,
    b"MM\0*": tiff.tiff,
}
# A resize holds a table of some 32 bytes for each pixel of a side; JPEG and GIF have no longer sides.
_LONGEST_SIDE = 65_535


def header_of(content: bytes, limits: ImageLimits) -> Header:
    """What the file's header says. Raises UnusableImageError for another kind of file, a damaged header, and an image over the limits."""
    if len(content) > limits.file_bytes:
        raise too_large(limits.file_bytes)
    reader = next((reader for magic, reader in _READERS.items() if content.startswith(magic)), None)
    if reader is None:
        raise UnusableImageError("expected a PNG, JPEG, WebP, GIF, BMP or TIFF file")
    try:
        header = reader(content)
    except (struct.error, LookupError):
        raise UnusableImageError("the file is damaged: its header can't be read") from None
    width, height = header.width, header.height
    if not width or not height:
        raise UnusableImageError("the image has no pixels")
    if width * height > limits.pixels:
        raise UnusableImageError(
            f"the image has {width} x {height} pixels, {limits.pixels} are allowed: send a smaller one, or raise RERANKER_IMAGE_PIXELS"
        )
    if max(width, height) > _LONGEST_SIDE:
        raise UnusableImageError(f"the image has {width} x {height} pixels, a side may have {_LONGEST_SIDE}: send a smaller one")
    return header
