"""One vision pass to the features of each image's part of it, or the error instead. No Triton import.

Where the engine fails, each part is computed alone, and then halved: a fault costs its own image alone, and halving helps where a device is
out of memory.
"""

import logging
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from facade.errors import ScoringError
from facade.unforeseen import in_a_line
from reranker.engines.engine import Features, Tiles, Vision

LOG = logging.getLogger(__name__)


def see(vision: Vision, parts: Sequence[Tiles]) -> list[Features | ScoringError]:
    """The features [tiles, tokens of a tile, hidden] of each part, UINT8 [tiles, 3, size, size], in the parts' order."""
    ends = np.cumsum([0, *map(len, parts)])
    try:
        features = _features(vision, np.concatenate(parts) if parts[1:] else parts[0])
        return [features[start:end] for start, end in pairwise(ends)]
    except Exception as error:  # noqa: BLE001 (runtimes raise anything; none of it may fail another image)
        if parts[1:]:
            return [outcome for part in parts for outcome in see(vision, [part])]
        if len(parts[0]) > 1:
            return [_joined(see(vision, np.split(parts[0], [len(parts[0]) // 2])))]
        LOG.error("the vision pass of a tile failed: %s", in_a_line(error))  # noqa: TRY400 (one line: a client may cause many)
        return [ScoringError("a vision pass failed")]


def _features(vision: Vision, tiles: Tiles) -> Features:
    features = vision.features(tiles)
    if features.ndim != 3 or len(features) != len(tiles):
        raise ValueError(f"features of shape {list(features.shape)} for {len(tiles)} tiles")
    return features


def _joined(halves: Sequence[Features | ScoringError]) -> Features | ScoringError:
    faults = [half for half in halves if isinstance(half, ScoringError)]
    return faults[0] if faults else np.concatenate([half for half in halves if not isinstance(half, ScoringError)])
