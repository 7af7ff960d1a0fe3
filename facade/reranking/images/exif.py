"""The directories of TIFF files, and of EXIF, which is a TIFF file without an image. Knows no pixels."""

import struct
from dataclasses import dataclass

ORIENTATION = 274
_FORMATS = {1: "B", 3: "H", 4: "I"}  # of the types of whole numbers
_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8)  # of a value, by its type


@dataclass(frozen=True)
class Entry:
    """An entry of a directory: the type of its values, their count, and the 4 bytes that hold them or their offset."""

    order: str
    type: int
    count: int
    field: bytes

    @property
    def bytes(self) -> int:
        """Bytes of all values. Raises LookupError for an unknown type."""
        return self.count * _BYTES[self.type]

    @property
    def number(self) -> int | None:
        """The value; None for several, or for another type than a whole number."""
        if self.count != 1 or self.type not in _FORMATS:
            return None
        return int(struct.unpack_from(self.order + _FORMATS[self.type], self.field)[0])


def first_directory(content: bytes) -> dict[int, Entry]:
    """The entries of a TIFF file's first directory by their tags; of equal tags the first.

    Raises struct.error for a directory that the file doesn't hold, LookupError for a file of another kind.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}[content[:4]]
    (start,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, start)
    found: dict[int, Entry] = {}
    for place in range(count):
        tag, kind, values, field = struct.unpack_from(order + "2HI4s", content, start + 2 + 12 * place)
        found.setdefault(tag, Entry(order, kind, values, field))
    return found


def orientation_in(directory: dict[int, Entry]) -> int:
    """The orientation that a directory names, 1 to 8; 1 where it names none."""
    entry = directory.get(ORIENTATION)
    number = entry.number if entry else None
    return number if number and number <= 8 else 1


def exif_orientation(exif: bytes) -> int:
    """The orientation that EXIF names, 1 to 8; 1 where it names none, or is damaged."""
    try:
        return orientation_in(first_directory(exif.removeprefix(b"Exif\0\0")))
    except (struct.error, LookupError):
        return 1
