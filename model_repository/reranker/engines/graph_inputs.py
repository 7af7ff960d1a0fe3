"""Rows of a micro-batch to the inputs of the bundle's graph: tokens, and the features of the rows' images in the places of placeholders.

Knows arrays, no runtime.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facade.reranking.bundle import Bundle
from facade.reranking.pairs import NO_EXTRA
from facade.reranking.tensors import ATTENTION_MASK, IMAGE_FEATURES, IMAGE_POSITIONS, INPUT_IDS, Inputs, Row, pack


def graph_inputs(rows: Sequence[Row], bundle: Bundle, width: int, step: int = 1) -> Inputs:
    """The graph's inputs for `rows`, padded on the right as `pack` does it. `width`: numbers of a feature.

    Raises ValueError where a row's features are not as many as its placeholders.
    """
    if bundle.image is None:
        return pack(rows, bundle, step)
    inputs = pack([replace(row, extra=NO_EXTRA) if row.extra else row for row in rows], bundle, step)
    places = np.flatnonzero((inputs[INPUT_IDS] == bundle.image.placeholder_id) & (inputs[ATTENTION_MASK] == 1))
    return inputs | {IMAGE_FEATURES: features_of(rows, bundle.image.placeholder_id, width), IMAGE_POSITIONS: places}


def features_of(rows: Sequence[Row], placeholder_id: int, width: int, dtype: type[np.generic] = np.float32) -> NDArray[Any]:
    """The features of all rows' images, [features, width], in the rows' order. Raises ValueError as `graph_inputs` does."""
    found = [np.zeros((0, width), dtype)]
    for row in rows:
        features = row.extra.get(IMAGE_FEATURES, found[0])
        if len(features) != np.count_nonzero(row.input_ids == placeholder_id):
            raise ValueError(f"{len(features)} features for the placeholders of a row with {len(row.input_ids)} tokens")
        found.append(features)
    return np.concatenate(found)
