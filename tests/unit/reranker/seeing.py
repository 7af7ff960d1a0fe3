"""Images for the tests of vision: tiny files, rows that hold them, and a vision pass that needs no runtime."""

import hashlib
import io
from dataclasses import dataclass, field
from threading import Event

import numpy as np
from PIL import Image

from facade.reranking.image_block import ImageBlock
from facade.reranking.images import ImageLimits, tiles_of
from facade.reranking.tensors import DIGEST_MARK, IMAGE, Row
from reranker.engines.engine import Features, Tiles

LIMITS = ImageLimits(1 << 20, 1 << 20)
SIZE, PER_TILE, WIDTH, VOCABULARY, PLACEHOLDER = 8, 4, 6, 40, 39
BLOCK = ImageBlock(
    tile_size=SIZE,
    most_tiles=4,
    thumbnail=True,
    grids=((1, 1), (1, 2), (2, 1), (2, 2)),
    tokens_per_tile=PER_TILE,
    before=(37,),
    after=(38,),
    placeholder_id=PLACEHOLDER,
    text_prefix=" ",
)
WAIT_S = 60.0


def png(shade: int, width: int = SIZE, height: int = SIZE) -> bytes:
    """A file of one shade; 8 x 8 is one tile, 8 x 16 three, 16 x 16 five."""
    written = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), shade, np.uint8)).save(written, "PNG")
    return written.getvalue()


def tiles_in(content: bytes) -> int:
    return len(tiles_of(content, BLOCK, LIMITS))


def digest_of(content: bytes) -> bytes:
    """What stands for a file."""
    return DIGEST_MARK + hashlib.sha256(content).digest()


def seen_row(content: bytes, tiles: int, *ids: int) -> Row:
    """A row of an image and some ids behind it; `content`: the file, or what stands for it."""
    all_ids = [1, *BLOCK.before, *[PLACEHOLDER] * (tiles * PER_TILE), *BLOCK.after, *ids]
    extra = {IMAGE: np.array([content], np.object_)}
    return Row(np.array(all_ids, np.int64), np.zeros(len(all_ids), np.int64), extra)


def text_row(*ids: int) -> Row:
    return Row(np.array(ids, np.int64), np.zeros(len(ids), np.int64))


@dataclass
class Shades:
    """Vision whose features are a tile's mean shade, in all places. A pass with `poison` in it fails, and so does one of more than `memory`
    tiles. While `free` is not set, passes wait.
    """

    tile_budget: int = 1
    poison: int | None = None
    memory: int = 1 << 30
    passes: list[list[float]] = field(default_factory=list)
    free: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.free.set()

    def features(self, tiles: Tiles) -> Features:
        shades = tiles.mean(axis=(1, 2, 3))
        self.passes.append([float(shade) for shade in shades])
        self.free.wait(WAIT_S)
        if self.poison in shades or len(tiles) > self.memory:
            raise RuntimeError("poison")
        return np.broadcast_to(shades[:, None, None], (len(tiles), PER_TILE, WIDTH)).astype(np.float32)
