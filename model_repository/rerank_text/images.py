"""The images of a call, read by the rules of HTTP. Knows neither Triton nor tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

from facade.errors import ImageError, InvalidRequestError
from facade.reranking.image_block import NO_IMAGES, ImageBlock
from facade.reranking.images import Image, ImageLimits, UnusableImageError, read_image
from rerank_text.asked import PASSAGE_IMAGE


@dataclass(frozen=True)
class ImageReader:
    """`most_images` and `most_tiles`: of the different images of one call."""

    limits: ImageLimits
    most_images: int
    most_tiles: int

    def read(self, given: Mapping[int, str], block: ImageBlock | None) -> dict[int, Image]:
        """The images by the index of their passage, of which equal files are one; `block`: None where the model takes text alone.

        Raises ImageError with the index of an image that can't be used, and InvalidRequestError for too many.
        """
        images: dict[int, Image] = {}
        different: dict[bytes, Image] = {}
        for index, data in given.items():
            if block is None:
                raise ImageError(index, NO_IMAGES)
            try:
                image = read_image(data, block, self.limits)
            except UnusableImageError as error:
                raise ImageError(index, error.reason) from None
            images[index] = different.setdefault(image.digest, image)
        tiles = sum(image.tiles for image in different.values())
        if len(different) > self.most_images or tiles > self.most_tiles:
            raise InvalidRequestError(
                f"{PASSAGE_IMAGE}: {len(different)} different images of {tiles} tiles, the most in one call are {self.most_images} of "
                f"{self.most_tiles}: split them over several"
            )
        return images
