"""What a model sees in tiles, by OpenVINO. Knows neither rows nor caches."""

from collections.abc import Mapping
from typing import Any

from facade.reranking.bundle import Bundle
from reranker.engines.engine import Features, Tiles


class OpenVinoVision:
    """The bundle's vision graph, compiled for all cores; `options`: those of the language graph, but for its streams."""

    # A tile of 512 pixels has 1,024 patches, as many tokens as a batch; and alone in its pass it has the same features in any company.
    tile_budget = 1

    def __init__(self, core: Any, bundle: Bundle, options: Mapping[str, Any]) -> None:
        with bundle.loadable_vision() as graph:
            compiled = core.compile_model(core.read_model(str(graph)), "CPU", {**options, "NUM_STREAMS": 1})
        self._request = compiled.create_infer_request()

    def features(self, tiles: Tiles) -> Features:
        """FP32 [tiles, tokens of a tile, hidden]."""
        made: Features = self._request.infer([tiles], share_inputs=True)[
            0
        ].copy()  # the request's own memory, which its next one overwrites
        return made
