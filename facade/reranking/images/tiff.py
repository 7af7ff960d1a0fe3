"""The header of a TIFF file: its first page. Knows no pixels."""

import struct
from collections.abc import Mapping

from facade.reranking.images.exif import Entry, first_directory, orientation_in
from facade.reranking.images.header import Header
from facade.reranking.images.limits import UnusableImageError

_WIDTH, _HEIGHT, _COMPRESSION, _STRIPS, _TILE_WIDTH, _TILE_HEIGHT, _TILES = 256, 257, 259, 273, 322, 323, 324
# The tags that pixels depend on: these, bits, colours, predictor, palette, samples, the tables of JPEG and of YCbCr.
_KEPT = {_WIDTH, _HEIGHT, 258, _COMPRESSION, 262, 266, _STRIPS, 277, 278, 279, 284, 292, 293, 317, 320, _TILE_WIDTH, _TILE_HEIGHT, _TILES}
_KEPT |= {325, 338, 339, 347, 529, 530, 531, 532}
_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}  # none, CCITT, LZW, JPEG, deflate, PackBits
_MOST_STRIPS = 65_536
_MOST_PADDING = 1 << 24  # pixels of the tiles beside the image, which are decoded too


def tiff(content: bytes) -> Header:
    """The header of a TIFF file's first page.

    Raises struct.error or LookupError for a damaged one, UnusableImageError for an unusual one.
    """
    tags = first_directory(content)
    kept = {tag: entry for tag, entry in sorted(tags.items()) if tag in _KEPT}
    width, height = _number(kept, _WIDTH), _number(kept, _HEIGHT)
    if sum(entry.bytes for entry in kept.values()) > len(content):
        raise LookupError
    if _number(kept, _COMPRESSION, 1) not in _COMPRESSIONS:
        raise UnusableImageError("expected a TIFF file without compression, or with CCITT, LZW, JPEG, deflate or PackBits")
    if any(kept[tag].count > _MOST_STRIPS for tag in (_STRIPS, _TILES) if tag in kept) or _padding(kept, width, height) > _MOST_PADDING:
        raise UnusableImageError("the TIFF file has too many strips, or too large tiles")
    return Header("TIFF", width, height, _with_directory(content, kept), orientation_in(tags))


def _padding(tags: Mapping[int, Entry], width: int, height: int) -> int:
    if _TILES not in tags:
        return 0
    across, down = (
        -(-side // max(1, tile)) * tile for side, tile in ((width, _number(tags, _TILE_WIDTH)), (height, _number(tags, _TILE_HEIGHT)))
    )
    return across * down - width * height


def _number(tags: Mapping[int, Entry], tag: int, default: int | None = None) -> int:
    number = tags[tag].number if tag in tags or default is None else default
    if number is None:
        raise LookupError
    return number


def _with_directory(content: bytes, tags: Mapping[int, Entry]) -> bytes:
    """The file with these entries alone in its first directory, and no other page."""
    order = next(iter(tags.values())).order
    (start,) = struct.unpack_from(order + "I", content, 4)
    entries = (struct.pack(order + "2HI4s", tag, entry.type, entry.count, entry.field) for tag, entry in tags.items())
    directory = b"".join((struct.pack(order + "H", len(tags)), *entries, bytes(4)))
    return b"".join((content[:start], directory, content[start + len(directory) :]))
