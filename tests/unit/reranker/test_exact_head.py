"""python -m pytest tests/unit/reranker/test_exact_head.py

A head that is computed element by element gives what its product gave, and a model without such a head stays as it is.
"""

import numpy as np
import openvino
import pytest
from openvino import opset13

from reranker.engines.openvino.exact_head import keep_exact

EXACT = {"INFERENCE_PRECISION_HINT": openvino.Type.f32}


def test_a_model_that_does_not_end_in_one_column_stays_as_it_is() -> None:
    states = opset13.parameter([-1, 8], np.float32)
    model = openvino.Model([opset13.matmul(states, opset13.constant(np.ones((8, 2), np.float32)), False, False)], [states])
    before = [node.get_friendly_name() for node in model.get_ops()]
    assert not keep_exact(model)
    assert [node.get_friendly_name() for node in model.get_ops()] == before


@pytest.mark.parametrize("transposed", [False, True])
def test_a_head_computed_element_by_element_gives_what_its_product_gave(transposed: bool) -> None:
    states = opset13.parameter([-1, 8], np.float32)
    weight = np.linspace(-1, 1, 8, dtype=np.float32).reshape((1, 8) if transposed else (8, 1))
    model = openvino.Model([opset13.tanh(opset13.matmul(states, opset13.constant(weight), False, transposed))], [states])
    given = np.random.default_rng(0).random((3, 8), np.float32)
    before = openvino.compile_model(model, "CPU", EXACT)(given)[0].copy()
    assert keep_exact(model)
    assert "MatMul" not in {node.get_type_name() for node in model.get_ops()}
    np.testing.assert_allclose(openvino.compile_model(model, "CPU", EXACT)(given)[0], before, rtol=0, atol=1e-6)
