"""Rewrite an OpenVINO model so that its products run on packed rows, without padding; only attention has padded rows.

Between the embeddings and the last layer the tokens of all texts are [1, tokens, width]; before each attention they are scattered to
[rows, longest, width], and gathered again after it. Three more INT64 inputs give the indices:

    kept    [tokens]          each token's place in [rows * longest]; further ones, which are not read, may follow
    placed  [rows * longest]  the token at each place; any token where there is padding, which attention masks
    firsts  [rows]            each row's first token

Where the head reads the mean of all tokens, they are put into their places once more. packable.py says for which graphs. Knows graphs, and
of a batch only the mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13

from facade.reranking.tensors import Tokens
from reranker.engines.openvino.packable import OtherGraphError, layout

KEPT, PLACED, FIRSTS = "kept", "placed", "firsts"


def places(mask: Tokens, step: int) -> dict[str, Tokens]:
    """The three inputs for the rows of `mask`, INT64 [rows, longest], padded on the right; tokens are filled up to a multiple of `step`."""
    kept = np.flatnonzero(mask)
    placed = np.zeros(mask.size, np.int64)
    placed[kept] = np.arange(len(kept))
    filled = np.zeros(filled_up(len(kept), step), np.int64)
    filled[: len(kept)] = kept
    lengths = mask.sum(axis=1)
    return {KEPT: filled, PLACED: placed, FIRSTS: lengths.cumsum() - lengths}


def filled_up(tokens: int, step: int) -> int:
    """Tokens that are computed for a batch of `tokens`."""
    return -(-tokens // step) * step


def pack_products(model: Any) -> bool:
    """Change the model in place; return False, with no change, for an unsupported graph."""
    try:
        own = layout(model)
    except OtherGraphError:
        return False
    kept, placed, firsts = (_input(name) for name in (KEPT, PLACED, FIRSTS))
    state = own.embedded
    readers = [target for target in state.get_target_inputs() if target.get_node().get_type_name() != "ShapeOf"]
    rows_and_tokens = opset13.slice(opset13.shape_of(state), _constant(0), _constant(2), _constant(1)).output(0)
    for shape in own.shapes:  # the number of rows is that of the embeddings from now on
        whole = opset13.concat([rows_and_tokens, _constant(_last_axis(shape.input_value(0)))], 0)
        same = whole if shape.get_output_element_type(0) == openvino.Type.i64 else opset13.convert(whole, "i32")
        _replace(shape, same.output(0))
    for attention in own.attentions:
        if not attention.first_only:
            _replace(attention.mixed, _taken(_flat(attention.mixed.input_value(0), _last_axis(attention.mixed.output(0))), kept))
        for reshape in attention.entries:
            reshape.input(0).replace_source_output(_taken(reshape.input_value(0), placed))
    for reader in own.firsts:
        first_tokens = _taken(reader.input_value(0), firsts)
        _replace(reader, opset13.reshape(first_tokens, _constant(-1, 1, _last_axis(reader.output(0))), special_zero=False).output(0))
    for product in own.means:
        states = product.input_value(1)
        shape = opset13.concat([rows_and_tokens, _constant(_last_axis(states))], 0)
        product.input(1).replace_source_output(opset13.reshape(_taken(states, placed), shape, special_zero=False).output(0))
    packed = _taken(_flat(state, _last_axis(state)), kept)
    for reader in readers:
        reader.replace_source_output(packed)
    model.add_parameters([kept, placed, firsts])
    model.validate_nodes_and_infer_types()
    return True


def _input(name: str) -> Any:
    parameter = opset13.parameter([-1], np.int64, name=name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter


def _last_axis(value: Any) -> int:
    width: int = value.get_partial_shape()[2].get_length()
    return width


def _constant(*values: int) -> Any:
    return opset13.constant(np.array(values, np.int64))


def _flat(value: Any, width: int) -> Any:
    """[rows, longest, ...] -> [1, rows * longest, width]."""
    return opset13.reshape(value, _constant(1, -1, width), special_zero=False).output(0)


def _taken(value: Any, which: Any) -> Any:
    return opset13.gather(value, which, opset13.constant(1)).output(0)


def _replace(node: Any, value: Any) -> None:
    """Connect all readers of the node to the value instead."""
    for reader in node.output(0).get_target_inputs():
        reader.replace_source_output(value)
