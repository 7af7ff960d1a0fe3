"""python -m pytest tests/unit/facade/reranking/images/test_reading.py"""

import base64
import hashlib
import struct
import time
import zlib

import pytest

from facade.reranking.images import ImageLimits, UnusableImageError, read_image, tiles_of
from facade.reranking.images.exif import first_directory
from facade.reranking.images.reading import header_of
from tests.image_files import bare_png, chunk, picture, saved
from tests.unit.facade.reranking.images.blocks import LIMITS, block


def reason(content: bytes, limits: ImageLimits = LIMITS) -> str:
    with pytest.raises(UnusableImageError) as refused:
        header_of(content, limits)
    return refused.value.reason


def test_an_image_has_its_file_its_digest_and_its_number_of_tiles() -> None:
    content = saved(picture("RGB", 1024, 1024), "PNG")
    image = read_image("data:text/plain;base64," + base64.b64encode(content).decode(), block(512), LIMITS)
    assert (image.content, image.digest, image.tiles) == (content, hashlib.sha256(content).digest(), 5)


@pytest.mark.parametrize(
    "content", [b"", b"text", b"%PDF-1.7", b"<svg/>", b"\0\0\0\x1cftypavif", b"8BPS\0\1", b"II+\0\x08\0\0\0", b"\x89PNG"]
)
def test_another_kind_of_file_is_refused(content: bytes) -> None:
    assert reason(content) == "expected a PNG, JPEG, WebP, GIF, BMP or TIFF file"


def test_a_file_of_too_many_bytes_is_refused() -> None:
    with pytest.raises(UnusableImageError, match="more than the 99 bytes that are allowed") as refused:
        tiles_of(bytes(100), block(), ImageLimits(99, 99))
    assert refused.value.too_large


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_an_image_of_too_many_pixels_is_refused_in_every_format(kind: str) -> None:
    content = saved(picture("P" if kind == "GIF" else "RGB", 30, 20), kind)
    assert header_of(content, ImageLimits(999_999, 600)).upright_size == (30, 20)
    assert reason(content, ImageLimits(999_999, 599)).startswith("the image has 30 x 20 pixels, 599 are allowed")


def test_an_image_that_only_claims_its_pixels_is_refused_by_its_claim() -> None:
    assert "4294967295 x 4294967295 pixels" in reason(bare_png((2**32 - 1, 2**32 - 1), b""))
    assert "a side may have 65535" in reason(bare_png((65_536, 1), b""))
    assert reason(bare_png((0, 5), b"")) == "the image has no pixels"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_turned_image_has_its_sides_exchanged(kind: str) -> None:
    assert header_of(saved(picture("RGB", 30, 20), kind, 6), LIMITS).upright_size == (20, 30)
    assert header_of(saved(picture("RGB", 30, 20), kind, 3), LIMITS).upright_size == (30, 20)


def test_a_decoder_meets_no_text_and_no_profile() -> None:
    secret = b"secret"
    for content in (
        bare_png(
            (30, 20), b"", chunks=[chunk(b"tEXt", secret), chunk(b"iCCP", secret), chunk(b"acTL", secret)], late=chunk(b"fdAT", secret)
        ),
        saved(picture("RGB", 30, 20), "JPEG", 6, icc_profile=secret, comment=secret),
        saved(picture("P", 30, 20), "GIF", comment=secret),
    ):
        assert secret in content
        assert secret not in header_of(content, LIMITS).content
    page = saved(picture("RGB", 30, 20), "TIFF", 6, icc_profile=secret, save_all=True, append_images=[picture("RGB", 9, 9)])
    assert first_directory(page).keys() >= {274, 34675}
    assert first_directory(header_of(page, LIMITS).content).keys().isdisjoint({274, 34675})


def test_a_text_that_unpacks_to_gigabytes_costs_nothing() -> None:
    text = b"key\0\0" + zlib.compress(bytes(50_000_000), 9)
    content = bare_png((30, 20), zlib.compress(bytes(20 * 91)), chunks=[chunk(b"zTXt", text)] * 99)
    assert tiles_of(content, block(), LIMITS).shape == (7, 3, 64, 64)


def test_a_profile_or_exif_without_end_costs_nothing() -> None:
    directory = struct.pack(">H", 65_535) + b"".join(struct.pack(">2H2I", tag, 1, 800_000, 0) for tag in range(65_535))
    content = bare_png((30, 20), zlib.compress(bytes(20 * 91)), chunks=[chunk(b"eXIf", b"MM\0*\0\0\0\x08" + directory)])
    assert header_of(content, LIMITS).orientation == 1


@pytest.mark.parametrize(
    "content",
    [
        bare_png((9, 9), b"", late=chunk(b"tEXt", b"") * 200_000),
        b"\xff\xd8" + b"\xff\xfe\0\2" * 200_000,
        b"GIF89a" + bytes(7) + b"!\xfe" + b"\1x" * 200_000,
        b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(10) + b"junk\0\0\0\0" * 200_000,
    ],
    ids=["PNG", "JPEG", "GIF", "WEBP"],
)
def test_a_file_of_too_many_parts_is_refused(content: bytes) -> None:
    assert reason(content) == "the file has more than 100000 parts: save it anew"


def test_a_jpeg_file_of_too_many_scans_is_refused() -> None:
    content = saved(picture("L", 30, 20), "JPEG")
    scan = content[content.index(b"\xff\xda") : -2]
    assert "more than 32 scans" in reason(content[:-2] + scan * 32 + content[-2:])
    assert header_of(content[:-2] + scan * 31 + content[-2:], LIMITS).width == 30


def test_a_jpeg_file_of_a_rare_kind_is_refused() -> None:
    content = saved(picture("L", 30, 20), "JPEG")
    assert reason(content.replace(b"\xff\xc0", b"\xff\xc9", 1)) == "expected a baseline or progressive JPEG file"


def test_fill_bytes_do_not_slow_a_jpeg_file_down() -> None:
    started = time.process_time()
    assert "damaged" in reason(b"\xff\xd8" + b"\xff" * 5_000_000)
    assert time.process_time() - started < 2


def test_a_bmp_file_that_is_compressed_is_refused() -> None:
    content = bytearray(saved(picture("L", 30, 20), "BMP"))
    struct.pack_into("<I", content, 30, 1)
    assert reason(bytes(content)) == "expected a BMP file without compression"


def test_a_bmp_file_may_run_from_top_to_bottom() -> None:
    content = bytearray(saved(picture("RGB", 30, 20), "BMP"))
    struct.pack_into("<i", content, 22, -20)
    assert header_of(bytes(content), LIMITS).upright_size == (30, 20)
    assert tiles_of(bytes(content), block(), LIMITS).shape == (7, 3, 64, 64)


def test_a_tiff_file_of_a_rare_compression_is_refused() -> None:
    assert "expected a TIFF file without compression" in reason(saved(picture("RGB", 30, 20), "TIFF", compression="zstd"))


def tiff(*entries: tuple[int, int, int, int]) -> bytes:
    """A TIFF file of 30 x 20 pixels with more entries in its directory: tag, type, count, value or offset."""
    directory = sorted([(256, 4, 1, 30), (257, 4, 1, 20), *entries])
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(directory)) + b"".join(struct.pack("<2H2I", *entry) for entry in directory) + bytes(4)


def test_a_tiff_file_whose_entries_are_larger_than_it_is_refused() -> None:
    assert "damaged" in reason(tiff((320, 3, 2**31, 8)))
    assert "damaged" in reason(tiff((273, 4, 1, 8), (320, 13, 1, 8)))
    assert "damaged" in reason(b"II*\0\xff\xff\xff\xff")


def test_a_tiff_file_of_too_many_strips_or_too_large_tiles_is_refused() -> None:
    assert "too many strips" in reason(tiff((273, 4, 65_537, 8)) + bytes(4 * 65_537))
    assert "too large tiles" in reason(tiff((322, 4, 1, 2**20), (323, 4, 1, 2**20), (324, 4, 1, 8)))


def test_a_file_in_which_the_decoder_finds_another_size_is_refused() -> None:
    content = saved(picture("L", 30, 20), "JPEG")
    frame = content.index(b"\xff\xc0")
    twice = content[:frame] + b"\xff\xc0\0\x0b\x08\0\x40\0\x40\x01\x01\x11\0" + content[frame:]
    assert header_of(twice, LIMITS).upright_size == (64, 64)
    with pytest.raises(UnusableImageError, match="damaged"):
        tiles_of(twice, block(), LIMITS)
