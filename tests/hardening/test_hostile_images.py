"""python -m pytest tests/hardening/test_hostile_images.py

Ten thousand broken images: each is refused or read, in less than two seconds, and no memory is lost.
"""

import base64
import time
from contextlib import suppress
from random import Random

import psutil

from facade.reranking.images import UnusableImageError, read_image, tiles_of
from tests.broken_images import broken_file, broken_text
from tests.unit.facade.reranking.images.blocks import LIMITS, block

FILES, TEXTS = 8_000, 2_000
WARM_UP = 2_000  # of the files: until then, allocators grow
GROWTH = 32 << 20  # bytes


def test_ten_thousand_broken_images_are_refused_or_read() -> None:
    slowest, before, read = 0.0, 0, 0
    for seed in range(FILES):
        if seed == WARM_UP:
            before = psutil.Process().memory_info().rss
        content = broken_file(Random(seed))
        started = time.process_time()
        with suppress(UnusableImageError):
            image = read_image(base64.b64encode(content).decode(), block(), LIMITS)
            assert len(tiles_of(content, block(), LIMITS)) == image.tiles, seed
            read += 1
        slowest = max(slowest, time.process_time() - started)
    for seed in range(TEXTS):
        with suppress(UnusableImageError):
            read_image(broken_text(Random(seed)), block(), LIMITS)
    assert slowest < 2
    assert FILES / 10 < read < FILES / 2
    assert psutil.Process().memory_info().rss < before + GROWTH
