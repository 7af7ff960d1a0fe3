"""What an image may be, and the error of one that can't be used. Knows no format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageLimits:
    """Most bytes of a file, and most pixels of its image: what is read, decoded and held in memory grows with them."""

    file_bytes: int
    pixels: int


class UnusableImageError(Exception):
    """An image that can't be used. `reason` says why and quotes nothing of the file; `too_large`: the file has too many bytes."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.too_large = too_large


def too_large(most_bytes: int) -> UnusableImageError:
    """The error of a file that has more bytes than allowed."""
    return UnusableImageError(
        f"the file has more than the {most_bytes} bytes that are allowed: send a smaller one, or raise RERANKER_IMAGE_BYTES", too_large=True
    )
