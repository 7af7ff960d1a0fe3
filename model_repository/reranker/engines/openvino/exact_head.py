"""Keeps the last product of an OpenVINO model in fp32 where the rest is lowered to bf16.

bf16 has 8 bits: logits between 4 and 8 would be multiples of 1/32, and passages that differ by less would tie. OpenVINO lowers products and
nothing behind the last one; so a product with one column becomes a multiplication by element and a sum. Knows graphs only.
"""

from typing import Any

import numpy as np
from openvino import opset13

PRODUCT = "MatMul"
DEPTH = 4  # steps from a constant to its use, such as a conversion and a scale; a computed value is further from all constants


def keep_exact(model: Any) -> bool:
    """Change the model in place; False where it does not end in a product with one column, and nothing was changed."""
    node = model.get_results()[0]
    while node.get_type_name() != PRODUCT:
        computed = [value.get_node() for value in node.input_values() if not _is_constant(value.get_node())]
        if not computed:
            return False
        node = computed[0]
    states, weight = node.input_values()
    attributes = node.get_attributes()
    column = 0 if attributes["transpose_b"] else 1
    shape = weight.get_partial_shape()
    if shape.is_dynamic or len(shape) != 2 or shape[column].get_length() != 1 or attributes["transpose_a"]:
        return False
    row = opset13.reshape(weight, opset13.constant(np.array([-1], np.int64)), special_zero=False)
    logits = opset13.reduce_sum(opset13.multiply(states, row), opset13.constant(np.array([-1], np.int64)), keep_dims=True)
    node.output(0).replace(logits.output(0))
    return True


def _is_constant(node: Any, depth: int = DEPTH) -> bool:
    if node.get_type_name() == "Constant":
        return True
    inputs = [value.get_node() for value in node.input_values()]
    return depth > 0 and bool(inputs) and all(_is_constant(each, depth - 1) for each in inputs)
