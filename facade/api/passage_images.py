"""The images of a body's passages, read within the limits of a request. Nothing is ever fetched.

Knows neither request shapes nor an HTTP library.
"""

from dataclasses import dataclass
from typing import Any

from facade.api.body_images import Cut
from facade.api.faults import Fault
from facade.reranking.image_block import ImageBlock
from facade.reranking.images import Image, ImageLimits, UnusableImageError, read_image


@dataclass(frozen=True)
class ImageReader:
    """Reads images for a model that takes them as `block` says.

    `most_images`: different ones of a request; `most_tiles`: of all of these.
    """

    block: ImageBlock
    limits: ImageLimits
    most_images: int
    most_tiles: int

    def read(self, given: dict[str, Any]) -> tuple[dict[str, Image], list[Fault]]:
        """The image at each path, and a fault for each that can't be used. Equal files become one image.

        `given`: the data at each path, as a body has it or cut out of it. It is emptied, so that texts are freed one by one.
        """
        images: dict[str, Image] = {}
        faults: list[Fault] = []
        different: dict[bytes, Image] = {}
        tiles = 0
        for path in list(given):
            try:
                image = self._image(given.pop(path))
            except UnusableImageError as error:
                faults.append(Fault(path, error.reason))
                continue
            images[path] = different.setdefault(image.digest, image)
            tiles += image.tiles if images[path] is image else 0
            if fault := self._over(len(different), tiles):
                faults.append(Fault(path, fault))
                break
        return images, faults

    def _image(self, data: Any) -> Image:
        if isinstance(data, Cut):
            data = data.text()
        if not isinstance(data, str):
            raise UnusableImageError("expected a string: the file as a data URL, data:image/png;base64,...")
        return read_image(data, self.block, self.limits)

    def _over(self, images: int, tiles: int) -> str | None:
        """Why these are too many for one request."""
        if images > self.most_images:
            return f"a request may have {self.most_images} different images: split the passages, or raise RERANKER_IMAGES_PER_REQUEST"
        if tiles > self.most_tiles:
            return (
                f"with this one, the request's images have {tiles} tiles, {self.most_tiles} are allowed: split the passages, "
                "or raise RERANKER_IMAGE_TILES_PER_REQUEST"
            )
        return None
