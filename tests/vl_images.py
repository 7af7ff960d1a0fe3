"""Images for a tiny vision-language checkpoint: of every number of tiles that there is, and no two tiles alike."""

from io import BytesIO

import numpy as np
from PIL import Image

# Width and height by the number of tiles, for tiles of 64 pixels, at most 6 and a thumbnail.
SIZES = {1: (50, 60), 3: (120, 60), 4: (60, 180), 5: (100, 110), 6: (300, 58), 7: (70, 100)}


def png(width: int, height: int, seed: int = 0) -> bytes:
    """A PNG of coarse and fine noise."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (height // 7 + 2, width // 7 + 2, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height)), np.int16)
    noisy = smooth + generator.integers(-20, 21, smooth.shape)
    file = BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def image_of(tiles: int) -> bytes:
    """A PNG that is cut into that number of tiles."""
    return png(*SIZES[tiles], seed=tiles)
