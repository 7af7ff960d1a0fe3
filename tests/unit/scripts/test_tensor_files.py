"""Tensors keep their values and shapes, in the graph's own file and beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from scripts.export.tensor_files import ALIGNED, OwnFile, values_of  # noqa: E402


@pytest.mark.parametrize("values", [np.array(3), np.zeros((2, 3), np.int8), np.arange(6000, dtype=np.float32).reshape(60, 100).T])
def test_a_tensor_is_read_as_it_was_written(values: Any, tmp_path: Path) -> None:
    with OwnFile(tmp_path / "data") as file:
        file.tensor("before", np.ones(5000, np.int8))
        tensor = file.tensor("x", values)
    read = values_of(tensor, tmp_path)
    assert (read.shape, read.dtype) == (values.shape, values.dtype)
    np.testing.assert_array_equal(read, values)
    assert not any(int(entry.value) % ALIGNED for entry in tensor.external_data if entry.key == "offset")


def test_there_is_no_file_where_no_tensor_needs_one(tmp_path: Path) -> None:
    with OwnFile(tmp_path / "data") as file:
        file.tensor("x", np.zeros(3))
    assert not (tmp_path / "data").exists()
