"""What the header of an image's file says. Knows no format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Header:
    """An image's size and orientation, and what is left to decode.

    `kind`: the format. `width` and `height`: in pixels, as stored. `content`: the file without what its pixels don't depend on.
    `orientation`: the EXIF number, 1 to 8, of the turn that sets the image upright.
    """

    kind: str
    width: int
    height: int
    content: bytes
    orientation: int = 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height, in pixels, of the upright image."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)
