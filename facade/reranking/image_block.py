"""How a bundle's model takes images: the entry `image` of its manifest. Knows numbers and token ids, no pixels.

tile_size         pixels of a tile's side
most_tiles        most tiles of a grid; the thumbnail is one more
thumbnail         whether the whole image follows as the last tile where a grid has more than one
grids             [columns, rows] of each grid that there is, in the order in which the first best one is taken
tokens_per_tile   placeholders of a tile, whatever it shows
before, after     token ids around an image's placeholders
placeholder_id    the token id that a feature replaces
text_prefix       what stands in front of the prompt of a row with an image
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

# The answer to an image where a bundle has no such entry.
NO_IMAGES = "this model ranks text; images need a vision model such as nvidia/llama-nemotron-rerank-vl-1b-v2, which is not served here"


@dataclass(frozen=True)
class ImageBlock:
    """The entry's values, named as there."""

    tile_size: int
    most_tiles: int
    thumbnail: bool
    grids: tuple[tuple[int, int], ...]
    tokens_per_tile: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    placeholder_id: int
    text_prefix: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "ImageBlock":
        """The block of a manifest's entry, which `fault_of` has checked."""
        lists = {"grids": tuple((columns, rows) for columns, rows in entry["grids"])}
        lists |= {name: tuple(entry[name]) for name in ("before", "after")}
        return cls(**{**entry, **lists})

    def tokens(self, tiles: int) -> int:
        """Tokens of an image of that number of tiles, the ones around it included."""
        return len(self.before) + tiles * self.tokens_per_tile + len(self.after)

    def ids(self, tiles: int) -> tuple[int, ...]:
        """The token ids of an image of that number of tiles."""
        return (*self.before, *[self.placeholder_id] * (tiles * self.tokens_per_tile), *self.after)


def fault_of(entry: Any, vocabulary_size: int) -> str | None:
    """The first fault of a manifest's entry, in words; None where there is none."""
    expected = {field.name for field in fields(ImageBlock)}
    if not isinstance(entry, dict) or set(entry) != expected:
        return f"image: expected {', '.join(sorted(expected))}"
    ids = [entry["placeholder_id"], *_list(entry["before"]), *_list(entry["after"])]
    faults = {
        "expected positive numbers": not all(_positive(entry[name]) for name in ("tile_size", "most_tiles", "tokens_per_tile")),
        "expected true or false as thumbnail": type(entry["thumbnail"]) is not bool,
        "expected a text as text_prefix": not isinstance(entry["text_prefix"], str),
        "expected grids [columns, rows] of at most most_tiles tiles": not _are_grids(entry["grids"], entry["most_tiles"]),
        "expected token ids below vocabulary_size": not all(type(token) is int and 0 <= token < vocabulary_size for token in ids),
    }
    return next((f"image: {fault}" for fault, there in faults.items() if there), None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [None]


def _positive(value: Any) -> bool:
    return type(value) is int and value > 0


def _are_grids(value: Any, most: Any) -> bool:
    return bool(_list(value)) and all(_is_grid(grid) and _positive(most) and grid[0] * grid[1] <= most for grid in _list(value))


def _is_grid(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_positive, value))
