"""Find in an OpenVINO model where tokens enter and leave attention, and prove that nothing else mixes tokens.

Every operation after the embeddings and outside attention must either compute each token independently or read tokens for the head. For
graphs like those of scripts/bert/forward.py and scripts/export/passes. Knows graphs, neither batches nor rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Operations whose result at a token depends only on that token of each input, and on constants.
BY_ELEMENT = frozenset(
    (
        *("Add", "Convert", "Divide", "Erf", "Exp", "FakeQuantize", "Gelu", "Multiply", "Negative"),
        *("Power", "Relu", "Sigmoid", "Sqrt", "Subtract", "Swish", "Tanh"),
    )
)
BY_TOKEN = frozenset(("MVN", "ReduceMean"))  # over the last axis, as exporters draw norms
AXES = 3  # of states: rows, tokens, width
BEHIND = 6  # steps from attention's products to where heads are split off, such as a scale, a transpose and rotary positions


class OtherGraphError(Exception):
    """The graph has a structure that this module does not support."""


@dataclass(frozen=True)
class Attention:
    """Where tokens enter and leave an attention: the reshapes of query, keys, values and of its result."""

    query: Any
    keys: Any
    values: Any
    mixed: Any

    @property
    def first_only(self) -> bool:
        """Whether it is computed for a row's first token alone."""
        return most_tokens(self.query.input_value(0)) == 1

    @property
    def entries(self) -> list[Any]:
        """The reshapes at which all tokens enter, each once."""
        return [self.keys, self.values] if self.first_only else [self.keys, self.values, self.query]


@dataclass
class Layout:
    """What a model does with its tokens. `embedded`: the states [rows, tokens, width] from which on each token is computed alone.

    `firsts`: slices of first tokens; `means`: products of a mask with all states; `shapes`: readers of a state's shape.
    """

    embedded: Any
    attentions: list[Attention]
    firsts: list[Any] = field(default_factory=list)
    means: list[Any] = field(default_factory=list)
    shapes: list[Any] = field(default_factory=list)


def layout(model: Any) -> Layout:
    """The layout of the model. Raises OtherGraphError where tokens mix in another way than in attention."""
    nodes = model.get_ordered_ops()
    attentions = [_attention(node) for node in nodes if node.get_type_name() == "Softmax"]
    if not attentions or any(each.first_only for each in attentions[:-1]):
        raise OtherGraphError
    before = next(place for place, node in enumerate(nodes) if node.get_type_name() == "Softmax")
    for node in nodes[:before]:
        if node.get_output_size() == 1 and is_state(node.output(0)) and most_tokens(node.output(0)) != 1 and not _is_constant(node):
            found = _Walk(Layout(node.output(0), attentions)).follow()
            if found:
                return found
    raise OtherGraphError


class _Walk:
    """Follows the states of one layout through the graph."""

    def __init__(self, own: Layout) -> None:
        self._own = own
        self._known: set[str] = set()  # nodes that compute each token alone
        self._beside: list[Any] = []  # further inputs of theirs, which have to be known or constant
        self._reached: set[str] = set()  # reshapes at which tokens enter attention

    def follow(self) -> Layout | None:
        """The layout with all that was found; None where anything else reads a state."""
        own = self._own
        waiting = [own.embedded, *(each.mixed.output(0) for each in own.attentions if not each.first_only)]
        self._known.update(value.get_node().get_name() for value in waiting)
        entries = {part.get_name() for each in own.attentions for part in each.entries}
        while waiting:
            value = waiting.pop()
            for target in value.get_target_inputs():
                node, place = target.get_node(), target.get_index()
                name = node.get_name()
                if name in self._known:
                    continue
                if name in entries:
                    self._reached.add(name)
                elif not self._ends(node, place):
                    if not self._is_by_token(node, place):
                        return None
                    self._known.add(name)
                    waiting.append(node.output(0))
        return own if self._is_whole(entries) else None

    def _ends(self, node: Any, place: int) -> bool:
        """Whether the states are followed no further: what reads them is noted."""
        own, kind = self._own, node.get_type_name()
        if kind == "ShapeOf":
            own.shapes.append(node)
        elif kind == "Slice" and place == 0 and _takes_first_tokens(node):
            own.firsts.append(node)
        elif kind == "MatMul" and place == 1 and _weighs_tokens(node):
            own.means.append(node)
        else:
            return False
        return True

    def _is_by_token(self, node: Any, place: int) -> bool:
        kind = node.get_type_name()
        if kind in BY_TOKEN:
            return place == 0 and _is_over_width(node)
        if kind == "MatMul":
            return place == 0 and not node.get_attributes()["transpose_a"] and _is_constant(node.input_value(1).get_node())
        if kind not in BY_ELEMENT or len(node.get_output_partial_shape(0)) != AXES:
            return False
        self._beside += [value.get_node() for number, value in enumerate(node.input_values()) if number != place]
        return True

    def _is_whole(self, entries: set[str]) -> bool:
        """Whether every attention takes its tokens from these states, and the head reads them in one of the two ways."""
        own = self._own
        if self._reached != entries or bool(own.firsts) == bool(own.means):
            return False
        return all(node.get_name() in self._known or _is_constant(node) for node in self._beside)


def is_state(value: Any) -> bool:
    """Whether it is [rows, tokens, width] of numbers."""
    shape = value.get_partial_shape()
    return value.get_element_type().is_real() and shape.rank.is_static and len(shape) == AXES and shape[2].is_static


def most_tokens(value: Any) -> int:
    """The upper bound of the number of tokens; -1: none."""
    length: int = value.get_partial_shape()[1].get_max_length() if is_state(value) else -1
    return length


def _attention(softmax: Any) -> Attention:
    mix = _only_reader(softmax, "MatMul")
    mixed = _only_reader(_only_reader(mix, "Transpose"), "Reshape")
    score = softmax.input_value(0).get_node()
    product = next((each for each in _sources(score) if each.get_type_name() == "MatMul"), None)
    if score.get_type_name() != "Add" or product is None:
        raise OtherGraphError
    query, keys = (_split(product.input_value(place)) for place in (0, 1))
    return Attention(query, keys, _split(mix.input_value(1)), mixed)


def _split(value: Any) -> Any:
    """The reshape that makes heads of a state, somewhere behind `value`; there is to be one only."""
    found: dict[str, Any] = {}
    nodes = [value.get_node()]
    for _ in range(BEHIND):
        behind: list[Any] = []
        for node in nodes:
            if node.get_type_name() == "Reshape" and is_state(node.input_value(0)):
                found[node.get_name()] = node
            else:
                behind += [each for each in _sources(node) if each.get_output_partial_shape(0).rank.get_length() > AXES]
        nodes = behind
    if len(found) != 1:
        raise OtherGraphError
    return next(iter(found.values()))


def _takes_first_tokens(reader: Any) -> bool:
    begin = reader.input_value(1).get_node()
    return begin.get_type_name() == "Constant" and not begin.get_data().any() and most_tokens(reader.output(0)) == 1


def _weighs_tokens(product: Any) -> bool:
    """Whether it is [rows, 1, tokens] times the states."""
    weights, attributes = product.input_value(0), product.get_attributes()
    return (
        most_tokens(product.output(0)) == 1
        and not (attributes["transpose_a"] or attributes["transpose_b"])
        and not _is_constant(weights.get_node())
    )


def _is_over_width(node: Any) -> bool:
    """Whether it reads the last axis alone, and keeps the number of axes. The axes are constants, or a range of constants."""
    axes = node.input_value(1).get_node()
    parts = list(_sources(axes)) if axes.get_type_name() == "Range" else [axes]
    if any(part.get_type_name() != "Constant" for part in parts) or len(node.get_output_partial_shape(0)) != AXES:
        return False
    numbers = [int(number) for part in parts for number in part.get_data().reshape(-1)]
    return {axis % AXES for axis in (range(*numbers) if len(parts) > 1 else numbers)} == {AXES - 1}


def _is_constant(node: Any) -> bool:
    """Whether no input of the model reaches it."""
    behind, seen = [node], set()
    while behind:
        each = behind.pop()
        if each.get_type_name() == "Parameter":
            return False
        if each.get_name() not in seen:
            seen.add(each.get_name())
            behind += _sources(each)
    return True


def _sources(node: Any) -> Iterator[Any]:
    return (value.get_node() for value in node.input_values())


def _only_reader(node: Any, kind: str) -> Any:
    readers = [target.get_node() for target in node.output(0).get_target_inputs()]
    if len(readers) != 1 or readers[0].get_type_name() != kind:
        raise OtherGraphError
    return readers[0]
