"""Rows with images to rows with their features, by the engine of this process. Knows no requests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from facade.errors import ScoringError
from facade.reranking.image_block import ImageBlock
from facade.reranking.images import UnusableImageError
from facade.reranking.tensors import IMAGE, IMAGE_FEATURES, Row
from reranker.engines.engine import Features, Tiles, Vision
from reranker.vision.cache import FeatureCache
from reranker.vision.passes import see


class ImageFeatures:
    """Computes features of images, and keeps at most `cache_bytes` of them. Thread-safe; one image is computed at a time.

    `decode`: a file to its tiles, as `facade.reranking.images.tiles_of`.
    """

    def __init__(self, vision: Vision, block: ImageBlock, decode: Callable[[bytes], Tiles], cache_bytes: int) -> None:
        self._vision = vision
        self._block = block
        self._decode = decode
        self._cache = FeatureCache(cache_bytes)
        self._computing = threading.Lock()

    def seen(self, row: Row) -> Row:
        """The row as the engine takes it. Raises ScoringError where its image can't be used."""
        if IMAGE not in row.extra:
            return row
        content: bytes = row.extra[IMAGE][0]
        digest = hashlib.sha256(content).digest()
        with self._computing:
            features = self._cache.get(digest)
            if features is None:
                features = self._features(content)
                self._cache.put(digest, features)
        if len(features) != np.count_nonzero(row.input_ids == self._block.placeholder_id):
            raise ScoringError("image: it has other tiles than its header says")
        return replace(row, extra={IMAGE_FEATURES: features})

    def _features(self, content: bytes) -> Features:
        """Features [tokens, hidden]."""
        try:
            tiles = self._decode(content)
        except UnusableImageError as error:
            raise ScoringError(f"image: {error.reason}") from None
        size = self._vision.tile_budget
        outcomes = [outcome for start in range(0, len(tiles), size) for outcome in see(self._vision, [tiles[start : start + size]])]
        return _whole(outcomes)


def _whole(outcomes: Sequence[Features | ScoringError]) -> Features:
    done = []
    for outcome in outcomes:
        if isinstance(outcome, ScoringError):
            raise outcome
        done.append(outcome)
    features: Features = np.concatenate(done)
    return features.reshape(-1, features.shape[-1])
