"""python -m pytest tests/unit/facade/reranking/images/test_pixels.py"""

import base64
import random
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from facade.reranking.images import UnusableImageError, read_image, tiles_of
from tests.image_files import CHANNELS, ORIENTATION, chunk, exif_of, noise, picture, png, saved
from tests.unit.facade.reranking.images import oracle
from tests.unit.facade.reranking.images.blocks import LIMITS, block

SIZE = 64
LOSSLESS = {
    "L": ("PNG", "BMP", "TIFF"),
    "RGB": ("PNG", "BMP", "TIFF", "WEBP"),
    "RGBA": ("PNG", "TIFF", "WEBP"),
    "P": ("PNG", "GIF", "TIFF", "BMP"),
    "LA": ("PNG", "TIFF"),
    "CMYK": ("TIFF",),
}
HAVE_EXIF = ("PNG", "JPEG", "WEBP", "TIFF")


def tiles(content: bytes, size: int = SIZE) -> oracle.Pixels:
    """The tiles of a file, of which the header must say the same number."""
    found = tiles_of(content, block(size), LIMITS)
    assert read_image(base64.b64encode(content).decode(), block(size), LIMITS).tiles == len(found)
    return found


def sizes() -> Iterator[tuple[int, int]]:
    """Extreme shapes, all borders between two grids, squares, and shapes by chance."""
    yield from [(1, 5000), (5000, 1), (1, 1), (1, 2), (2, 1), (64, 64), (63, 65), (192, 128), (128, 192), (210, 297), (297, 210)]
    yield from [(side, side) for side in (65, 127, 128, 129, 213, 214, 215, 300)]
    yield from [(71 * columns, 71 * rows) for columns in range(1, 7) for rows in range(1, 7)]
    by_chance = random.Random(23)
    yield from [(int(3 * 150 ** by_chance.random()), int(3 * 150 ** by_chance.random())) for _ in range(250)]


def test_the_tiles_of_three_hundred_sizes_are_the_oracles_in_every_lossless_format() -> None:
    cases = [(size, mode, kind) for size, (mode, kind) in zip(sizes(), _kinds(), strict=False)]
    assert len(cases) >= 300
    for (width, height), mode, kind in cases:
        channels = len(Image.new(mode, (1, 1)).getbands())
        samples = noise(width, height, channels)
        palette = noise(256, 1, 3, seed=1)[0]
        expected = oracle.tiles(oracle.rgb_of(mode, samples, palette), SIZE)
        options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
        assert np.array_equal(tiles(saved(picture(mode, width, height), kind, **options)), expected), (width, height, mode, kind)


def _kinds() -> Iterator[tuple[str, str]]:
    while True:
        yield from [(mode, kind) for mode, kinds in LOSSLESS.items() for kind in kinds]


def decoded(content: bytes) -> oracle.Pixels:
    """What Pillow alone makes of a file without transparency."""
    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_upright(kind: str, orientation: int) -> None:
    content = saved(picture("RGB", 90, 40), kind, orientation)
    upright = oracle.upright(decoded(saved(picture("RGB", 90, 40), kind)), orientation)
    assert np.array_equal(tiles(content), oracle.tiles(upright, SIZE))
    assert np.array_equal(upright, np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(content)))))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_png_file_is_turned_by_exif_behind_its_pixels(order: str) -> None:
    samples = noise(90, 40, 3)
    content = png(samples, 2, late=chunk(b"eXIf", exif_of(6, order)))
    assert np.array_equal(tiles(content), oracle.tiles(oracle.upright(samples, 6), SIZE))


@pytest.mark.parametrize("exif", [b"", b"MM", exif_of(0), exif_of(9), exif_of(6)[:-8], b"\xff" * 40], ids=repr)
def test_an_image_with_damaged_exif_stays_as_it_is(exif: bytes) -> None:
    samples = noise(90, 40, 3)
    assert np.array_equal(tiles(png(samples, 2, chunks=[chunk(b"eXIf", exif)])), oracle.tiles(samples, SIZE))


@pytest.mark.parametrize(
    ("mode", "options"), [("L", {}), ("RGB", {}), ("RGB", {"progressive": True}), ("CMYK", {}), ("RGB", {"icc_profile": bytes(99)})]
)
def test_a_jpeg_file_keeps_what_its_colours_depend_on(mode: str, options: dict[str, Any]) -> None:
    content = saved(picture(mode, 100, 130), "JPEG", comment=b"text", **options)
    assert np.array_equal(tiles(content), oracle.tiles(decoded(content), SIZE))


def test_a_jpeg_file_of_rgb_without_jfif_stays_rgb() -> None:
    content = saved(picture("RGB", 100, 130), "JPEG", keep_rgb=True, quality=95)
    assert np.array_equal(tiles(content), oracle.tiles(decoded(content), SIZE))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_grey_of_few_bits_can_be_transparent(depth: int) -> None:
    most = 2**depth - 1
    samples = noise(90, 40, 1) & most
    key = int(samples[3, 3, 0])
    grey = (samples * (255 // most)).astype(np.uint8)
    expected = oracle.on_white(np.repeat(grey, 3, -1), np.where(samples == key, 0, 255).astype(np.uint8))
    content = png(samples, 0, depth=depth, chunks=[chunk(b"tRNS", struct.pack(">H", key))])
    assert np.array_equal(tiles(content), oracle.tiles(expected, SIZE))


@pytest.mark.parametrize(("colour", "channels"), [(0, 1), (2, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_colour_can_be_transparent(colour: int, channels: int, dtype: type[np.uint8 | np.uint16]) -> None:
    eight = noise(90, 40, channels)
    samples = eight if dtype is np.uint8 else eight.astype(np.uint16) * 256 + 7
    hidden = (eight == eight[3, 3]).all(-1, keepdims=True)
    key = struct.pack(f">{channels}H", *(int(value) for value in samples[3, 3]))
    expected = oracle.on_white(np.broadcast_to(eight, (*eight.shape[:2], 3)), np.where(hidden, 0, 255).astype(np.uint8))
    assert np.array_equal(tiles(png(samples, colour, chunks=[chunk(b"tRNS", key)])), oracle.tiles(expected, SIZE))


def test_a_palette_can_be_half_transparent() -> None:
    samples, palette, alpha = noise(90, 40, 1) & 63, noise(64, 1, 3)[0], noise(64, 1, 1)[0]
    content = png(samples, 3, chunks=[chunk(b"PLTE", palette.tobytes()), chunk(b"tRNS", alpha.tobytes())])
    expected = oracle.on_white(palette[samples[..., 0]], alpha[samples[..., 0]])
    assert np.array_equal(tiles(content), oracle.tiles(expected, SIZE))


@pytest.mark.parametrize(("colour", "mode"), [(0, "L"), (2, "RGB"), (4, "LA"), (6, "RGBA")])
def test_the_upper_half_of_sixteen_bits_counts(colour: int, mode: str) -> None:
    channels = CHANNELS[colour]
    eight = noise(90, 40, channels)
    samples = eight.astype(np.uint16) * 256 + noise(90, 40, channels, seed=1)
    assert np.array_equal(tiles(png(samples, colour)), oracle.tiles(oracle.rgb_of(mode, eight), SIZE))


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_the_upper_half_of_sixteen_bits_counts_in_a_tiff_file(mode: str, compression: str) -> None:
    eight = noise(90, 40, 1)
    samples = (eight.astype(np.uint16) * 256 + 9)[..., 0].astype("<u2" if mode == "I;16" else ">u2")
    content = saved(Image.frombytes(mode, (90, 40), samples.tobytes()), "TIFF", compression=compression)
    assert np.array_equal(tiles(content), oracle.tiles(oracle.rgb_of("L", eight), SIZE))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_tiff_file_may_be_compressed(compression: str, orientation: int) -> None:
    content = saved(picture("RGB", 90, 40), "TIFF", compression=compression, tiffinfo={ORIENTATION: orientation})
    assert np.array_equal(tiles(content), oracle.tiles(decoded(content), SIZE))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_black_and_white_is_resized_as_grey(kind: str) -> None:
    content = saved(picture("1", 300, 200), kind)
    assert np.array_equal(tiles(content), oracle.tiles(decoded(content), SIZE))
    assert len(np.unique(tiles(content))) > 2


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_of_thirty_two_bits_are_refused(mode: str) -> None:
    with pytest.raises(UnusableImageError, match="32 bits"):
        tiles(saved(Image.new(mode, (9, 9)), "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF"])
def test_the_first_of_several_pictures_counts(kind: str) -> None:
    mode = "P" if kind == "GIF" else "RGB"
    options = {"lossless": True} if kind == "WEBP" else {}
    first, second = picture(mode, 90, 40), picture(mode, 90, 40, seed=5)
    content = saved(first, kind, save_all=True, append_images=[second], **options)
    assert np.array_equal(tiles(content), oracle.tiles(np.asarray(first.convert("RGB")), SIZE))


def test_what_follows_a_jpeg_file_is_left_out() -> None:
    content = saved(picture("RGB", 90, 40), "JPEG")
    assert np.array_equal(tiles(content + content + b"\xff\xda" * 999), tiles(content))


def test_a_frame_of_a_gif_file_may_lie_on_a_larger_canvas() -> None:
    content = bytearray(saved(picture("P", 90, 40), "GIF"))
    struct.pack_into("<2H", content, 6, 120, 50)
    assert np.array_equal(tiles(bytes(content)), oracle.tiles(decoded(bytes(content)), SIZE))


def test_a_frame_of_a_gif_file_may_enlarge_its_canvas() -> None:
    content = bytearray(saved(picture("P", 90, 40), "GIF"))
    struct.pack_into("<2H", content, 6, 20, 10)
    assert np.array_equal(tiles(bytes(content)), oracle.tiles(np.asarray(picture("P", 90, 40).convert("RGB")), SIZE))


@pytest.mark.parametrize(("width", "height"), [(1, 5000), (620, 877), (1024, 1024)])
def test_tiles_of_512_pixels_are_the_oracles(width: int, height: int) -> None:
    assert np.array_equal(tiles(saved(picture("RGB", width, height), "PNG"), 512), oracle.tiles(noise(width, height, 3), 512))


def test_an_image_of_a_bundle_without_thumbnails_has_none() -> None:
    expected = oracle.tiles(noise(90, 40, 3), SIZE, thumbnail=False)
    assert np.array_equal(tiles_of(png(noise(90, 40, 3), 2), block(thumbnail=False), LIMITS), expected)


def test_threads_do_not_disturb_each_other() -> None:
    files = [saved(picture("RGB", 200 + place, 150), kind) for place in range(4) for kind in ("PNG", "JPEG", "WEBP", "TIFF")]
    alone = [tiles(content) for content in files]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(tiles, files * 3))
    assert all(np.array_equal(found, expected) for found, expected in zip(together, alone * 3, strict=True))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_file_that_ends_too_early_is_refused(kind: str) -> None:
    content = saved(picture("P" if kind == "GIF" else "RGB", 90, 40), kind)
    for length in range(0, len(content) - 90, 401):
        with pytest.raises(UnusableImageError):
            tiles_of(content[:length], block(), LIMITS)
