"""NVIDIA's tritonclient over either of its transports."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Triton:
    """A client of one transport. Both modules of tritonclient have the same interface."""

    module: ModuleType
    client: Any
    invalid_argument: str

    def infer(self, model: str, arrays: dict[str, NDArray[Any]], datatype: str, **further: Any) -> Any:
        inputs = []
        for name, array in arrays.items():
            tensor = self.module.InferInput(name, list(array.shape), datatype)
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        return self.client.infer(model, inputs, **further)

    def rank(self, model: str, queries: Sequence[bytes], passages: Sequence[bytes], name: str = "passage", **parameters: Any) -> Any:
        return self.infer(model, {"query": column(queries), name: column(passages)}, "BYTES", parameters=parameters or None)

    def score(self, tokens: dict[str, NDArray[np.int64]]) -> Any:
        return self.infer("reranker", tokens, "INT64")


def column(texts: Sequence[bytes]) -> NDArray[np.object_]:
    return np.array(texts, np.object_).reshape(-1, 1)
