"""The images of a body's passages, read within the limits of a request. Nothing is ever fetched.

Knows neither request shapes nor an HTTP library.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from facade.api.body_images import Cut
from facade.api.faults import Fault
from facade.reranking.image_block import NO_IMAGES
from facade.reranking.images import Image, UnusableImageError
from facade.reranking.images.request_images import RequestImages, TooManyImagesError


@dataclass(frozen=True)
class ImageReader:
    """Reads the images of one request. `cuts`: data that was cut out of the body, by the text that stands for it."""

    images: RequestImages
    cuts: Mapping[str, Cut] = field(default_factory=dict)

    def read(self, given: dict[str, Any]) -> tuple[dict[str, Image], list[Fault]]:
        """The image at each path, and a fault for each that can't be used. Those behind one too many are not read.

        `given`: the data at each path. It is emptied, so that texts are freed one by one.
        """
        images: dict[str, Image] = {}
        faults: list[Fault] = []
        for path in list(given):
            try:
                images[path] = self._image(given.pop(path))
            except UnusableImageError as error:
                faults.append(Fault(path, error.reason))
                if isinstance(error, TooManyImagesError):
                    break
        return images, faults

    def _image(self, data: Any) -> Image:
        if not isinstance(data, str):
            raise UnusableImageError("expected a string: the file as a data URL, data:image/png;base64,...")
        cut = self.cuts.get(data)
        return self.images.read(cut.text() if cut else data)


def read_images(given: dict[str, Any], reader: ImageReader | None) -> tuple[dict[str, Image], list[Fault]]:
    """As `ImageReader.read`. Without a reader each image is a fault: a text model must not drop one silently."""
    return reader.read(given) if reader else ({}, [Fault(path, NO_IMAGES) for path in given])
