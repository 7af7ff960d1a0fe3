"""What a model sees in tiles, by an ONNX Runtime session; and how a session is run. Knows no bundle."""

from collections.abc import Mapping
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from reranker.engines.engine import Features, Tiles

Device = tuple[str, int]


class OnnxRuntimeVision:
    """The vision graph's session. `tile_budget`: see Vision."""

    def __init__(self, session: Any, device: Device, tile_budget: int) -> None:
        self.tile_budget = tile_budget
        self._session = session
        self._device = device
        self._input = session.get_inputs()[0].name

    def features(self, tiles: Tiles) -> Features:
        """FP32 [tiles, tokens of a tile, hidden]."""
        return run(self._session, {self._input: tiles}, self._device)


def run(session: Any, inputs: Mapping[str, NDArray[Any]], device: Device) -> NDArray[Any]:
    """The first output. Inputs are copied to the device once and bound there; else the session copies each of them, and waits for each."""
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, *device))
    binding.bind_output(session.get_outputs()[0].name, "cpu")
    session.run_with_iobinding(binding)
    output: NDArray[Any] = binding.copy_outputs_to_cpu()[0]
    return output
