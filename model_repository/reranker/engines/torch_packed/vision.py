"""What a model sees in tiles, by torch; and the features of a batch's rows on their way back to the device. Knows no caches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from facade.reranking.tensors import Row
from reranker.engines.engine import Features, Tiles
from reranker.engines.graph_inputs import features_of

GPU_TILE_BUDGET = 32  # an estimate: a pass of some 50 ms
CPU_TILE_BUDGET = 1  # a tile of 512 pixels has 1,024 patches, as many tokens as a batch
# NumPy has no bf16: its numbers are kept as integers of the same bits.
KEPT: dict[torch.dtype, type[np.generic]] = {torch.bfloat16: np.int16, torch.float16: np.float16, torch.float32: np.float32}


class Images(NamedTuple):
    """Features [features, hidden] of a batch's images, and the place of each among its packed tokens, INT64 [features]."""

    features: Tensor
    places: Tensor


class PackedVision:
    """A vision model on its device, `width` numbers to a feature; features are handed out in the precision of computation."""

    def __init__(self, model: nn.Module, device: torch.device, precision: torch.dtype, width: int, placeholder_id: int) -> None:
        self.tile_budget = GPU_TILE_BUDGET if device.type == "cuda" else CPU_TILE_BUDGET
        self._model = model
        self._device = device
        self._precision = precision
        self._width = width
        self._placeholder_id = placeholder_id

    @torch.inference_mode()
    def features(self, tiles: Tiles) -> Features:
        """[tiles, tokens of a tile, hidden]; bf16 as INT16 of the same bits."""
        made = self._model(torch.from_numpy(np.ascontiguousarray(tiles)).to(self._device)).cpu()
        kept: Features = (made.view(torch.int16) if self._precision == torch.bfloat16 else made).numpy()
        return kept

    def images(self, rows: Sequence[Row]) -> Images | None:
        """The images of a batch, on the device; None where it has none. Raises ValueError where a row's features do not fit."""
        features = features_of(rows, self._placeholder_id, self._width, KEPT[self._precision])
        if not len(features):
            return None
        places = np.flatnonzero(np.concatenate([row.input_ids for row in rows]) == self._placeholder_id)
        return Images(torch.from_numpy(features).view(self._precision).to(self._device), torch.from_numpy(places).to(self._device))
