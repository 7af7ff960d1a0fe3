"""The images of one request, within what a request may have. Knows no request shape."""

from dataclasses import dataclass, field

from facade.reranking.image_block import ImageBlock
from facade.reranking.images import Image, ImageLimits, UnusableImageError, read_image


class TooManyImagesError(UnusableImageError):
    """An image that takes the request over its limit of images or tiles."""


@dataclass
class RequestImages:
    """Read a request's images one by one. `most_images`: limit of different images; `most_tiles`: limit of their tiles in all."""

    block: ImageBlock
    limits: ImageLimits
    most_images: int
    most_tiles: int
    _different: dict[bytes, Image] = field(default_factory=dict)
    _tiles: int = 0

    def read(self, data: str) -> Image:
        """The image that a data URL or bare base64 holds. Equal files become one image.

        Raises UnusableImageError, and TooManyImagesError where this image exceeds a limit of the request.
        """
        read = read_image(data, self.block, self.limits)
        image = self._different.setdefault(read.digest, read)
        if image is read:
            self._tiles += image.tiles
            self._check()
        return image

    def _check(self) -> None:
        if len(self._different) > self.most_images:
            raise TooManyImagesError(
                f"a request may have {self.most_images} different images: split the passages, or raise RERANKER_IMAGES_PER_REQUEST"
            )
        if self._tiles > self.most_tiles:
            raise TooManyImagesError(
                f"with this one, the request's images have {self._tiles} tiles, {self.most_tiles} are allowed: split the passages, "
                "or raise RERANKER_IMAGE_TILES_PER_REQUEST"
            )
