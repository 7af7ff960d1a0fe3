"""Files of images for tests: every format, mode and orientation, and those that no library writes."""

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 274
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG file's colour types


def noise(width: int, height: int, channels: int, seed: int = 0) -> NDArray[np.uint8]:
    """Pixels, UINT8 [height, width, channels]: no two of a row alike for long, with blocks that survive a resize."""
    random = np.random.default_rng([seed, width, height, channels])
    coarse = random.integers(0, 256, (-(-height // 7), -(-width // 7), channels), np.uint8).repeat(7, 0).repeat(7, 1)[:height, :width]
    fine: NDArray[np.uint8] = coarse ^ random.integers(0, 64, coarse.shape, np.uint8)
    return fine


def picture(mode: str, width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture of noise in one of Pillow's modes of 8 bits."""
    channels = len(Image.getmodebands(mode) * "x")
    pixels = noise(width, height, channels, seed)
    image = Image.frombytes("L" if mode == "1" else mode, (width, height), pixels.tobytes())
    if mode == "P":
        image.putpalette(noise(256, 1, 3, seed + 1).tobytes())
    return image.convert("1") if mode == "1" else image


def saved(image: Image.Image, kind: str, orientation: int | None = None, **options: Any) -> bytes:
    """The picture as a file of that format, with EXIF where an orientation is given."""
    if orientation is not None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: NDArray[Any], colour: int, *, depth: int | None = None, chunks: Sequence[bytes] = (), late: bytes = b"") -> bytes:
    """A PNG file of samples [height, width, channels], with chunks before its pixels and behind them.

    `depth`: bits of a sample; None: those of the array. Samples of fewer bits are packed.
    """
    height, width = samples.shape[:2]
    depth = depth or samples.itemsize * 8
    rows = samples.astype(samples.dtype.newbyteorder(">")).reshape(height, -1)
    if depth < 8:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :].reshape(height, -1)
        rows = np.packbits(bits, axis=-1)
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    return bare_png((width, height), zlib.compress(pixels, 1), depth, colour, chunks=chunks, late=late)


def bare_png(
    size: tuple[int, int], pixels: bytes, depth: int = 8, colour: int = 2, *, chunks: Sequence[bytes] = (), late: bytes = b""
) -> bytes:
    """A PNG file that says it has that size, with any compressed pixels."""
    head = chunk(b"IHDR", struct.pack(">2I5B", *size, depth, colour, 0, 0, 0))
    return b"".join((b"\x89PNG\r\n\x1a\n", head, *chunks, chunk(b"IDAT", pixels), late, chunk(b"IEND", b"")))


def exif_of(orientation: int, order: str = "<") -> bytes:
    """EXIF that holds an orientation."""
    magic = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return magic + struct.pack(order + "IH2HIHH", 8, 1, ORIENTATION, 3, 1, orientation, 0) + bytes(4)
