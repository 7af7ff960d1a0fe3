"""The headers of PNG, JPEG, WebP, GIF and BMP files. Knows no pixels.

Each function raises struct.error or LookupError for a damaged header, and UnusableImageError for an unusual one. It leaves out of the file
what the pixels don't depend on (texts, profiles, thumbnails, further frames): no decoder meets it.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from facade.reranking.images.exif import exif_orientation
from facade.reranking.images.header import Header
from facade.reranking.images.limits import UnusableImageError

_MOST_PARTS = 100_000  # chunks, segments or blocks of a file: real ones have some thousands, and a million take seconds to walk
_MOST_SCANS = 32  # of a JPEG file: each of them visits all pixels, and encoders write about ten
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")  # without stuffed and fill bytes, and the markers that no segment follows
_EXIF, _SCAN, _END = 0xE1, 0xDA, 0xD9
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive
_OTHER_FRAMES = set(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_KEPT = _FRAMES | {0xC4, 0xDB, 0xDD, 0xE0, 0xEE}  # Huffman and quantisation tables, restart interval, JFIF, Adobe

Part = tuple[int | bytes | None, int, int]  # kind, start and end


def png(content: bytes) -> Header:
    """The header of a PNG file; its EXIF may stand behind the pixels. Of an animation, the default image."""
    first, width, height, depth, colour = struct.unpack_from(">4s2I2B", content, 12)
    if first != b"IHDR":
        raise LookupError
    parts, exif = [content[:33]], b""
    for kind, start, end in _few(_png_chunks(content)):
        if kind == b"eXIf":
            exif = content[start:end]
        elif kind == b"tRNS":
            data = content[start:end] if colour == 3 else _in_eight_bits(content[start:end], depth)
            parts.append(struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data)))
        elif kind in {b"PLTE", b"IDAT", b"IEND"}:
            parts.append(content[start - 8 : end + 4])
    return Header("PNG", width, height, b"".join(parts), exif_orientation(exif))


def _png_chunks(content: bytes) -> Iterator[Part]:
    """The chunks behind the first one; start and end of their data."""
    end = 29
    while (start := end + 12) <= len(content):
        length, kind = struct.unpack_from(">I4s", content, start - 8)
        end = start + length
        yield kind, start, end


def _in_eight_bits(key: bytes, depth: int) -> bytes:
    """The transparent grey or colour in the 8 bits of decoded samples."""
    if depth not in (2, 4, 16):
        return key
    samples = (sample >> 8 if depth == 16 else sample * 255 // (2**depth - 1) for (sample,) in struct.iter_unpack(">H", key))
    return b"".join(struct.pack(">H", sample) for sample in samples)


def jpeg(content: bytes) -> Header:
    """The header of a JPEG file; what follows its first image is left out."""
    parts, exif, frame, scans, stop = [b"\xff\xd8"], b"", None, [], len(content)
    for marker, start, end in _few(_jpeg_segments(content)):
        if marker in _OTHER_FRAMES:
            raise UnusableImageError("expected a baseline or progressive JPEG file")
        if marker == _END:
            stop = end
            break
        if marker == _SCAN:
            scans.append(start)
        elif scans:
            continue
        elif marker == _EXIF and not exif and content.startswith(b"Exif\0\0", start + 4):
            exif = content[start + 4 : end]
        elif marker in _KEPT:
            parts.append(content[start:end])
            frame = frame or (start if marker in _FRAMES else None)
    if not scans or not frame:
        raise LookupError
    if len(scans) > _MOST_SCANS:
        raise UnusableImageError(f"the JPEG file has more than {_MOST_SCANS} scans: save it anew")
    height, width = struct.unpack_from(">2H", content, frame + 5)
    return Header("JPEG", width, height, b"".join((*parts, memoryview(content)[scans[0] : stop])), exif_orientation(exif))


def _jpeg_segments(content: bytes) -> Iterator[Part]:
    """The segments of all images in the file, each from its marker; the coded pixels after a scan's segment belong to none."""
    end = 2
    while found := _JPEG_MARKER.search(content, end):
        start, end = found.span()
        marker = content[end - 1]
        if marker != _END:
            end += struct.unpack_from(">H", content, end)[0]
        yield marker, start, end


def webp(content: bytes) -> Header:
    """The header of a WebP file. Of an animation, the first frame on the whole canvas."""
    kind = content[8:16]
    if kind == b"WEBPVP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<2H", content, 26))
        return Header("WEBP", width, height, content)
    if kind == b"WEBPVP8L":
        (sides,) = struct.unpack_from("<I", content, 21)
        return Header("WEBP", (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1, content)
    if kind != b"WEBPVP8X":
        raise LookupError
    width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    exif = next((content[start:end] for kind, start, end in _few(_webp_chunks(content)) if kind == b"EXIF"), b"")
    return Header("WEBP", width, height, content, exif_orientation(exif))


def _webp_chunks(content: bytes) -> Iterator[Part]:
    """The chunks of a WebP file; start and end of their data."""
    end = 12
    while (start := end + 8) <= len(content):
        kind, length = struct.unpack_from("<4sI", content, start - 8)
        end = start + length + length % 2
        yield kind, start, start + length


def gif(content: bytes) -> Header:
    """The header of a GIF file: its first frame on the whole canvas, which it may enlarge."""
    width, height, flags = struct.unpack_from("<2HB", content, 6)
    palette_end = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    control = b""
    for label, start, end in _few(_gif_blocks(content, palette_end)):
        if label == 0xF9:
            control = b"!\xf9" + content[start:end] + b"\0"
    left, top, across, down = struct.unpack_from("<4H", content, start + 1)
    return Header("GIF", max(width, left + across), max(height, top + down), content[:palette_end] + control + content[start:])


def _gif_blocks(content: bytes, at: int) -> Iterator[Part]:
    """The blocks of the extensions before the first image, and where that begins."""
    while content[at] == 0x21:
        label, at = content[at + 1], at + 2
        while size := content[at]:
            yield label, at, at + 1 + size
            at += 1 + size
        at += 1
    if content[at] != 0x2C:
        raise LookupError
    yield None, at, at


def bmp(content: bytes) -> Header:
    """The header of a BMP file."""
    (size,) = struct.unpack_from("<I", content, 14)
    if size == 12:
        width, height = struct.unpack_from("<2H", content, 18)
        return Header("BMP", width, height, content)
    width, height, compression = struct.unpack_from("<2I4xI", content, 18)
    if compression not in (0, 3):  # none, and masks of colours
        raise UnusableImageError("expected a BMP file without compression")
    return Header("BMP", width, 2**32 - height if content[25] == 0xFF else height, content)


def _few(parts: Iterator[Part]) -> Iterator[Part]:
    for count, part in enumerate(parts):
        if count == _MOST_PARTS:
            raise UnusableImageError(f"the file has more than {_MOST_PARTS} parts: save it anew")
        yield part
