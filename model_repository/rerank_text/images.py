"""The images of a call, read by the rules of HTTP. Knows neither Triton nor tokens."""

from collections.abc import Mapping

from facade.config.image_settings import ImageSettings
from facade.errors import ImageError
from facade.reranking.image_block import NO_IMAGES, ImageBlock
from facade.reranking.images import Image, ImageLimits, UnusableImageError
from facade.reranking.images.request_images import RequestImages


def read_images(given: Mapping[int, str], block: ImageBlock | None, settings: ImageSettings) -> dict[int, Image]:
    """The images by the index of their passage, of which equal files are one; `block`: None where the model takes text alone.

    Raises ImageError with the index of the first image that can't be used, or is one too many.
    """
    images: dict[int, Image] = {}
    if block is None:
        raise ImageError(min(given), NO_IMAGES)
    limits = ImageLimits(settings.image_bytes, settings.image_pixels)
    request = RequestImages(block, limits, settings.images_per_request, settings.image_tiles_per_request)
    for index, data in given.items():
        try:
            images[index] = request.read(data)
        except UnusableImageError as error:
            raise ImageError(index, error.reason) from None
    return images
