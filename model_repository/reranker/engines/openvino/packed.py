"""Rewrite an OpenVINO model so that its products run on packed rows, without padding; only attention has padded rows.

Between the embeddings and the last layer the tokens of all texts are [1, tokens, width]; before each attention they are put into their
places in [rows, longest, width], and taken out again behind it. Three more inputs state the places, all INT64:

    kept    [tokens]          each token's place in [rows * longest]; further ones, which are not read, may follow
    placed  [rows * longest]  the token at each place; any token where there is padding, which attention masks
    firsts  [rows]            each row's first token

For graphs like those of scripts/bert/forward.py: the states of whole rows, and in the last layer queries of first tokens only. Knows
graphs, and of a batch only the mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from openvino import opset13

from facade.reranking.tensors import Tokens

KEPT, PLACED, FIRSTS = "kept", "placed", "firsts"


class _OtherGraphError(Exception):
    """The graph is none of those that this module knows."""


@dataclass(frozen=True)
class _Attention:
    """Where tokens enter and leave an attention: the reshapes of query, keys, values and of its result."""

    query: Any
    keys: Any
    values: Any
    mixed: Any


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
    """Change the model in place; False where it is another kind of graph, and nothing was changed."""
    try:
        embedded, reader, attentions, shapes = _find(model)
    except _OtherGraphError:
        return False
    kept, placed, firsts = (_input(name) for name in (KEPT, PLACED, FIRSTS))
    state = embedded.input_value(0)
    width = state.get_partial_shape()[2].get_length()
    for shape in shapes:  # the number of rows is that of the embeddings from now on
        shape.input(0).replace_source_output(state)
    embedded.input(0).replace_source_output(_taken(_flat(state, width), kept))
    for attention in attentions:
        read = [attention.keys, attention.values]
        if attention is not attentions[-1]:
            read.append(attention.query)
            _replace(attention.mixed, _taken(_flat(attention.mixed.input_value(0), width), kept))
        for reshape in read:
            reshape.input(0).replace_source_output(_taken(reshape.input_value(0), placed))
    first_tokens = opset13.reshape(_taken(reader.input_value(0), firsts), _constant(-1, 1, width), special_zero=False)
    _replace(reader, first_tokens.output(0))
    model.add_parameters([kept, placed, firsts])
    model.validate_nodes_and_infer_types()
    return True


def _find(model: Any) -> tuple[Any, Any, list[_Attention], list[Any]]:
    """The norm of the embeddings, the reader of first tokens for the last layer, every attention, and the readers of a state's shape."""
    nodes = model.get_ordered_ops()
    norms = [node for node in nodes if node.get_type_name() == "MVN"]
    readers = [node for node in nodes if node.get_type_name() == "Slice" and _is_state(node.input_value(0))]
    attentions = [_attention(node) for node in nodes if node.get_type_name() == "Softmax"]
    shapes = [node for node in nodes if node.get_type_name() == "ShapeOf" and _is_state(node.input_value(0))]
    fits = norms and attentions and len(readers) == 1 and len(norms) == 2 * len(attentions) + 1
    if not fits or not _is_state(norms[0].input_value(0)) or len(norms[0].input_value(0).get_target_inputs()) != 1:
        raise _OtherGraphError
    queries = [_most_tokens(attention.query.input_value(0)) for attention in attentions]
    if queries[-1] != 1 or 1 in queries[:-1] or not _reads_first_tokens(readers[0]):
        raise _OtherGraphError
    return norms[0], readers[0], attentions, shapes


def _attention(softmax: Any) -> _Attention:
    mix = _only_reader(softmax, "MatMul")
    mixed = _only_reader(_only_reader(mix, "Transpose"), "Reshape")
    score = _behind(softmax, 0, "Add")
    product = next((each for each in _sources(score) if each.get_type_name() == "MatMul"), None)
    if product is None:
        raise _OtherGraphError
    scaled = product.input_value(0).get_node()
    turned = scaled if scaled.get_type_name() == "Transpose" else _behind(scaled, 0, "Transpose")
    query = _behind(turned, 0, "Reshape")
    keys, values = (_behind(_behind(each, 1, "Transpose"), 0, "Reshape") for each in (product, mix))
    return _Attention(query, keys, values, mixed)


def _reads_first_tokens(reader: Any) -> bool:
    begin = reader.input_value(1).get_node()
    return begin.get_type_name() == "Constant" and not begin.get_data().any() and _most_tokens(reader.output(0)) == 1


def _sources(node: Any) -> Iterator[Any]:
    return (value.get_node() for value in node.input_values())


def _behind(node: Any, place: int, kind: str) -> Any:
    found = node.input_value(place).get_node()
    if found.get_type_name() != kind:
        raise _OtherGraphError
    return found


def _only_reader(node: Any, kind: str) -> Any:
    readers = [target.get_node() for target in node.output(0).get_target_inputs()]
    if len(readers) != 1 or readers[0].get_type_name() != kind:
        raise _OtherGraphError
    return readers[0]


def _is_state(value: Any) -> bool:
    """Whether it is [rows, tokens, width] of numbers."""
    shape = value.get_partial_shape()
    return value.get_element_type().is_real() and shape.rank.is_static and len(shape) == 3 and shape[2].is_static


def _most_tokens(value: Any) -> int:
    """-1: any number."""
    length: int = value.get_partial_shape()[1].get_max_length() if _is_state(value) else -1
    return length


def _input(name: str) -> Any:
    parameter = opset13.parameter([-1], np.int64, name=name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter


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
