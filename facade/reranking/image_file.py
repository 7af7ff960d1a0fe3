"""An image's file to its size and its pixels, by Pillow. Knows no tiles.

The formats: PNG, JPEG, WebP, GIF (the first frame), BMP and TIFF (the first page), told by their first bytes.
"""

from dataclasses import dataclass
from io import BytesIO

from PIL import ExifTags
from PIL import Image as Pillow
from PIL.Image import Transpose

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class ImageLimits:
    """Most bytes of a file, and most pixels of its image."""

    file_bytes: int
    pixels: int


class UnusableImageError(Exception):
    """The image can't be used; `reason` says why, `too_large` whether its file has too many bytes."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.too_large = too_large


def opened(content: bytes, limits: ImageLimits) -> Pillow.Image:
    """The file's image, its pixels not decoded. Raises UnusableImageError."""
    try:
        image = Pillow.open(BytesIO(content), formats=FORMATS)
    except Exception:  # noqa: BLE001 Pillow raises many kinds for broken files
        raise UnusableImageError("is not a PNG, JPEG, WebP, GIF, BMP or TIFF file that can be read") from None
    if image.width * image.height > limits.pixels:
        raise UnusableImageError(f"has {image.width} x {image.height} pixels, {limits.pixels} are allowed: send a smaller one")
    return image


def upright_size(image: Pillow.Image) -> tuple[int, int]:
    """Width and height as the image is to be seen."""
    return image.size[::-1] if _orientation(image) >= 5 else image.size


def rgb(image: Pillow.Image) -> Pillow.Image:
    """The image as it is to be seen: upright, RGB, transparency on white. Raises UnusableImageError."""
    try:
        orientation = _orientation(image)
        image.load()
        return _on_white(image.transpose(_TURNS[orientation]) if orientation in _TURNS else image)
    except Exception:  # noqa: BLE001 Pillow raises many kinds for broken files
        raise UnusableImageError("the file is damaged: its pixels can't be decoded") from None


def _on_white(image: Pillow.Image) -> Pillow.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Pillow.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _orientation(image: Pillow.Image) -> int:
    value = Pillow.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) else 1
