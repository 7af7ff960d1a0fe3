"""An image's file to its pixels, by Pillow: upright, RGB, transparency on white. Knows no tiles."""

from io import BytesIO

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from facade.reranking.images.header import Header
from facade.reranking.images.limits import UnusableImageError

_DECODERS: dict[str, type[ImageFile]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "WEBP": WebPImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
}
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def upright_rgb(header: Header) -> Image.Image:
    """The image of a file, RGB. Raises UnusableImageError for a damaged file, and for samples whose white is unknown."""
    try:
        image = _decoded(header)
    except Exception:  # noqa: BLE001 decoders raise many kinds
        raise UnusableImageError(f"the {header.kind} file is damaged, or of a kind that is not read") from None
    if image.mode in ("I", "F"):
        raise UnusableImageError("samples of 32 bits are not read: save the image with 8 or 16 bits")
    rgb = _rgb(image)
    del image
    return rgb.transpose(_TURNS[header.orientation]) if header.orientation in _TURNS else rgb


def _decoded(header: Header) -> Image.Image:
    """The decoded image. Raises LookupError for one of another size than the header says, or what the decoder raises."""
    image = _DECODERS[header.kind](BytesIO(header.content))
    if image.size == (header.width, header.height):
        image.load()
    if image.size != (header.width, header.height):
        raise LookupError
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = _in_eight_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """The upper halves of 16 bits. Pillow's own conversion makes white of all above 255."""
    eight = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    eight.info = image.info
    return eight
