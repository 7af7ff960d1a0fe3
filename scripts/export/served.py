"""A bundle's own path from texts and images to the inputs of its graph, as a server goes it: what the gate and the quantiser try.

Knows bundles, no family of models.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facade.reranking.bundle import VISION, Bundle
from facade.reranking.chunks import chunks, pair_rows
from facade.reranking.image_block import ImageBlock
from facade.reranking.images import Image, ImageLimits, read_image, tiles_of
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.tensors import IMAGE_FEATURES, Inputs, Row
from reranker.engines.graph_inputs import graph_inputs
from scripts.export import runtimes
from scripts.export.graph import TILES
from scripts.export.trial import BATCH_TOKENS, Trial

ANY = ImageLimits(file_bytes=2**30, pixels=2**30)  # the export makes its images itself


class Served:
    """A bundle's tokenizer, with a limit of `longest` tokens per pair, and the features of the images of `trials` by its vision graph."""

    def __init__(self, bundle: Bundle, longest: int, trials: Sequence[Trial]) -> None:
        self._bundle = bundle
        self._tokenizer = PairTokenizer(bundle, longest)
        self._images: dict[bytes, Image] = {}
        self._features: dict[bytes, NDArray[np.float32]] = {}
        self._width = 0  # numbers of a feature
        if bundle.image:
            self._look_at({image for trial in trials for image in trial.images if image is not None}, bundle.image)

    def rows(self, trial: Trial) -> list[Row]:
        """A row for each passage of the trial, cut to the limit."""
        return self._rows(self._pairs(trial), range(len(trial.passages)))

    def batches(self, trials: Sequence[Trial]) -> Iterator[Inputs]:
        """The graph's inputs for all trials, batched as the server does it."""
        for trial in trials:
            pairs = self._pairs(trial)
            for chunk in chunks(pairs, BATCH_TOKENS):
                yield self.inputs(self._rows(pairs, chunk.indexes))

    def inputs(self, rows: Sequence[Row]) -> Inputs:
        """The graph's inputs for rows of one batch."""
        return graph_inputs(rows, self._bundle, self._width)

    def _pairs(self, trial: Trial) -> TokenPairs:
        images = [None if content is None else self._images[content] for content in trial.images]
        return self._tokenizer.encode(trial.query, trial.passages, truncate=True, images=images)

    def _rows(self, pairs: TokenPairs, indexes: Sequence[int]) -> list[Row]:
        shown = {index: {IMAGE_FEATURES: self._features[image.digest]} for index, image in pairs.images.items()}
        return [replace(row, extra=shown.get(index, {})) for index, row in zip(indexes, pair_rows(pairs, indexes), strict=True)]

    def _look_at(self, contents: set[bytes], block: ImageBlock) -> None:
        """Keep each image, and its features [tokens, width], all tiles in one pass."""
        run, _ = runtimes.load(self._bundle.folder / VISION, self._bundle.manifest["precision"])
        self._width = run({TILES: np.zeros((1, 3, block.tile_size, block.tile_size), np.uint8)}).shape[-1]
        for content in contents:
            image = read_image(base64.b64encode(content).decode(), block, ANY)
            found = run({TILES: tiles_of(content, block, ANY)})
            self._images[content] = image
            self._features[image.digest] = found.reshape(-1, self._width)
