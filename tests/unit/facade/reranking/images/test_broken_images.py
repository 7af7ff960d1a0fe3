"""python -m pytest tests/unit/facade/reranking/images/test_broken_images.py

A few hundred broken files; tests/hardening/test_hostile_images.py has ten thousand.
"""

import base64
import time
from contextlib import suppress
from random import Random

from facade.reranking.images import UnusableImageError, read_image, tiles_of
from tests.broken_images import bombs, broken_file, broken_text
from tests.unit.facade.reranking.images.blocks import LIMITS, block


def test_a_broken_file_is_refused_or_has_the_tiles_that_its_header_says() -> None:
    for seed in range(300):
        content = broken_file(Random(seed))
        with suppress(UnusableImageError):
            image = read_image(base64.b64encode(content).decode(), block(), LIMITS)
            assert len(tiles_of(content, block(), LIMITS)) == image.tiles, seed


def test_a_broken_text_is_refused_or_read() -> None:
    for seed in range(300):
        with suppress(UnusableImageError):
            read_image(broken_text(Random(seed)), block(), LIMITS)


def test_a_bomb_costs_little() -> None:
    costs = {}
    for name, content in bombs().items():
        started = time.process_time()
        with suppress(UnusableImageError):
            assert tiles_of(content, block(), LIMITS).shape == (7, 3, 64, 64)
        costs[name] = time.process_time() - started
    assert max(costs.values()) < 2, costs
