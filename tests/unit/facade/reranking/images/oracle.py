"""The preprocessing written a second time, from its specification: numpy for pixels, Pillow's bicubic resize alone."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.unit.facade.reranking.images.blocks import GRIDS

Pixels = NDArray[np.uint8]


def grid(width: int, height: int, size: int) -> tuple[int, int]:
    best_score, best = -1.0, (0, 0)
    for columns, rows in GRIDS:
        ratio = columns / rows
        aspect = width / height
        score = min(columns * rows * size * size / (width * height), 0.6) * min(ratio / aspect, aspect / ratio)
        if score > best_score:
            best_score, best = score, (columns, rows)
    return best


def tiles(rgb: Pixels, size: int, *, thumbnail: bool = True) -> Pixels:
    """The tiles of upright RGB pixels [height, width, 3]."""
    image = Image.fromarray(rgb)
    columns, rows = grid(*image.size, size)
    whole = image.resize((columns * size, rows * size), Image.Resampling.BICUBIC)
    cut = [whole.crop((x * size, y * size, (x + 1) * size, (y + 1) * size)) for y in range(rows) for x in range(columns)]
    if len(cut) > 1 and thumbnail:
        cut.append(image.resize((size, size), Image.Resampling.BICUBIC))
    return np.stack([np.moveaxis(np.array(tile), -1, 0) for tile in cut])


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels as EXIF's orientation wants them seen: where row 0 and column 0 of the stored pixels belong."""
    turned = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: pixels.swapaxes(0, 1)[:, ::-1],
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: pixels.swapaxes(0, 1)[::-1],
    }[orientation]
    return np.ascontiguousarray(turned)


def rgb_of(mode: str, samples: Pixels, palette: Pixels | None = None) -> Pixels:
    """RGB [height, width, 3] of samples [height, width, channels] in one of Pillow's modes."""
    if mode == "P" and palette is not None:
        return np.take(palette, samples[..., 0], 0)
    if mode == "CMYK":
        key = 255 - samples[..., 3:]
        return np.subtract(key, _divided_by_255(samples[..., :3].astype(int) * key), dtype=np.uint8)
    if mode in ("LA", "RGBA"):
        return on_white(np.broadcast_to(samples[..., :-1], (*samples.shape[:2], 3)), samples[..., -1:])
    return np.ascontiguousarray(np.broadcast_to(samples, (*samples.shape[:2], 3)))


def on_white(rgb: Pixels, alpha: Pixels) -> Pixels:
    return _divided_by_255(rgb.astype(int) * alpha + 255 * (255 - alpha.astype(int)))


def _divided_by_255(values: NDArray[np.int64]) -> Pixels:
    """Rounded as decoders do it, without a division."""
    values = values + 128
    return ((values + (values >> 8)) >> 8).astype(np.uint8)
