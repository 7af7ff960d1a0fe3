"""Limits of images, for models that take them. The facade and both Triton models read them: what one admits, the other takes."""

from dataclasses import dataclass

from facade.config.parse import integer
from facade.config.setting import Group, setting


@dataclass(frozen=True, kw_only=True)
class ImageSettings(Group):
    """How large an image may be, and how many of them a request may have."""

    image_bytes: int = setting(
        # A page of 300 dpi has 1 to 10 MB as PNG. Each file is held in memory until its request is answered.
        "RERANKER_IMAGE_BYTES NIM_SERVER_MAX_IMAGE_BYTES",
        16 << 20,
        integer(1, 1 << 30),
        "most bytes of an image's file; beyond: 400",
    )
    image_pixels: int = setting(
        # An A4 page of 600 dpi has 34.8 million. A file of some kilobytes can have any number, and each takes 3 or 4 bytes once decoded.
        "RERANKER_IMAGE_PIXELS",
        36_000_000,
        integer(1, 89_000_000),
        "most pixels of an image, checked before it is decoded; beyond: 400",
    )
    images_per_request: int = setting(
        "RERANKER_IMAGES_PER_REQUEST",
        512,
        integer(1, 512),
        "most different images of a request, by default one for each passage; beyond: 400",
    )
    image_tiles_per_request: int = setting(
        # What the vision part of the model computes: 512 pages of 7 tiles.
        "RERANKER_IMAGE_TILES_PER_REQUEST",
        3584,
        integer(1, 1_000_000),
        "most tiles of a request's different images, which the vision part of the model computes one by one; beyond: 400",
    )
