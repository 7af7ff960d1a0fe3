"""Where a graph's tensors lie: inside of it, or in a file beside it that runtimes map into memory. Knows tensors, no model."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# Bytes from which on a tensor goes to the file. Smaller ones (shapes, scales) are often looked at by a runtime's pattern matching.
SMALLEST = 4096
ALIGNED = 4096  # bytes; each tensor begins on a page of its own


def values_of(tensor: TensorProto, folder: Path) -> NDArray[Any]:
    """The tensor's values; where they lie in a file in `folder`, its pages back them."""
    if tensor.data_location != TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    place = {entry.key: entry.value for entry in tensor.external_data}
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return np.memmap(folder / place["location"], dtype, "r", int(place.get("offset", 0)), tuple(tensor.dims))


class OwnFile:
    """The file beside a graph, which is written from its beginning to its end; there is none where no tensor needs it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        empty = self._file.tell() == 0
        self._file.close()
        if empty:
            self._path.unlink()

    def tensor(self, name: str, values: NDArray[Any]) -> TensorProto:
        """A tensor of these values: in the file, or in itself where they are few."""
        if values.nbytes < SMALLEST:
            return numpy_helper.from_array(np.asarray(values, order="C"), name)  # a number alone keeps its shape
        self._file.write(bytes(-self._file.tell() % ALIGNED))
        place = self._file.tell()
        np.asarray(values, order="C").tofile(self._file)
        made = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(values.dtype),
            dims=values.shape,
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", self._path.name), ("offset", place), ("length", values.nbytes)):
            made.external_data.add(key=key, value=str(value))
        return made


def move_out(path: Path, target: Path) -> None:
    """Write the graph at `path` to `target`, in another folder, and its weights to one file beside it, `target`.data."""
    model = onnx.load(str(path), load_external_data=False)
    with OwnFile(target.with_name(f"{target.name}.data")) as file:
        for tensor in model.graph.initializer:
            tensor.CopyFrom(file.tensor(tensor.name, values_of(tensor, path.parent)))
    target.write_bytes(model.SerializeToString())
