"""Files of images that were damaged by chance, and bombs: small files that claim or unpack to much."""

import base64
import struct
import zlib
from functools import cache
from random import Random

import numpy as np

from tests.image_files import bare_png, chunk, noise, picture, png, saved

_WORDS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\xff\xff", b"\0\0\0\0")


@cache
def whole_files() -> tuple[bytes, ...]:
    """A file of each format, mode and compression."""
    files = [saved(picture(mode, 97, 61), "PNG", 6) for mode in ("1", "L", "LA", "P", "RGB", "RGBA")]
    files += [
        saved(picture(mode, 97, 61), "JPEG", 3, progressive=progressive) for mode in ("L", "RGB", "CMYK") for progressive in (False, True)
    ]
    files += [saved(picture(mode, 97, 61), "WEBP", 6, lossless=lossless) for mode in ("RGB", "RGBA") for lossless in (False, True)]
    files += [saved(picture(mode, 97, 61), "BMP") for mode in ("1", "L", "P", "RGB")]
    files += [saved(picture(mode, 97, 61), "TIFF", 6) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr")]
    files += [saved(picture("RGB", 97, 61), "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")]
    files += [saved(picture("1", 97, 61), "TIFF", compression="group4")]
    more = {mode: [picture(mode, 97, 61, seed=1)] for mode in ("P", "RGB")}
    files += [saved(picture("P", 97, 61), "GIF", save_all=True, append_images=more["P"])]
    files += [saved(picture("RGB", 97, 61), kind, save_all=True, append_images=more["RGB"]) for kind in ("PNG", "WEBP", "TIFF")]
    return (*files, png(noise(50, 40, 1).astype(np.uint16) * 257, 0, chunks=[chunk(b"tRNS", b"\1\1")]))


def broken_file(chance: Random) -> bytes:
    """A file that was cut, overwritten, spliced or joined with another one, up to four times."""
    content = bytearray(chance.choice(whole_files()))
    for _ in range(chance.randint(1, 4)):
        if len(content) < 8:
            break
        _break(content, chance)
    return bytes(content)


def broken_text(chance: Random) -> str:
    """A data URL or base64, mostly of a broken file, sometimes itself damaged."""
    text = base64.b64encode(broken_file(chance)).decode()
    label = chance.choice(
        ["", "data:image/png;base64,", "data:;base64,", "data:image/jpeg,", "data:text/html;base64,", "https://a/b?", "data:"]
    )
    if chance.random() < 0.3:
        place = chance.randrange(len(text) + 1)
        text = (
            text[:place]
            + chance.choice(["=", "\n", " ", "-", "\0", "é", "\ud800", "==", "%3D", "data:"])
            + text[place + chance.randrange(3) :]
        )
    return (label if chance.random() < 0.5 else "data:image/png;base64,") + text


def _break(content: bytearray, chance: Random) -> None:
    place, other = chance.randrange(len(content) - 4), chance.randrange(len(content))
    kind = chance.randrange(8)
    if kind == 0:
        del content[place:]
    elif kind == 1:
        for _ in range(chance.randint(1, 10)):
            content[chance.randrange(len(content))] = chance.randrange(256)
    elif kind == 2:
        content[chance.randrange(min(len(content), 80))] = chance.choice([0, 1, 127, 128, 255])
    elif kind == 3:
        content[place : place + 4] = chance.choice(_WORDS)
    elif kind == 4:
        content[place:place] = content[other : other + chance.randrange(300)]
    elif kind == 5:
        del content[place : place + chance.randrange(200)]
    elif kind == 6:
        strange = chance.choice(whole_files())
        content[place:place] = strange[: chance.randrange(500)]
    else:
        content += chance.choice(whole_files())


@cache
def bombs() -> dict[str, bytes]:
    """Files that cost a careless reader gigabytes or minutes, by what they do."""
    text = b"key\0\0" + zlib.compress(bytes(10_000_000), 1)
    pixels = zlib.compress(bytes(20 * 91))
    directory = struct.pack(">H", 65_535) + b"".join(struct.pack(">2H2I", tag, 1, 800_000, 0) for tag in range(65_535))
    jpeg = saved(picture("L", 60, 40), "JPEG", progressive=True)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return {
        "four billion pixels a side": bare_png((2**32 - 1, 2**32 - 1), pixels),
        "a side without end": bare_png((36_000_000, 1), pixels),
        "pixels that are not there": bare_png((6_000, 6_000), pixels),
        "more pixels than it claims": bare_png((30, 20), zlib.compress(bytes(20_000_000), 1)),
        "texts of gigabytes": bare_png((30, 20), pixels, chunks=[chunk(b"zTXt", text)] * 200),
        "tags that share their data": bare_png((30, 20), pixels, chunks=[chunk(b"eXIf", b"MM\0*\0\0\0\x08" + directory)]),
        "chunks without end": bare_png((30, 20), pixels, late=chunk(b"tEXt", b"") * 300_000),
        "scans without end": jpeg[:-2] + scan * 3_000 + jpeg[-2:],
        "fill bytes without end": b"\xff\xd8" + b"\xff" * 5_000_000,
        "a comment without end": b"GIF89a" + bytes(7) + b"!\xfe" + b"\1x" * 1_000_000,
        "a canvas without end": b"GIF89a\xff\xff\xff\xff\0\0\0" + saved(picture("P", 9, 9), "GIF")[13:],
        "tiles without end": b"II*\0\x08\0\0\0\x05\0"
        + b"".join(
            struct.pack("<2H2I", *entry)
            for entry in [(256, 4, 1, 30), (257, 4, 1, 20), (322, 4, 1, 2**20), (323, 4, 1, 2**20), (324, 4, 1, 8)]
        ),
    }
