"""python -m pytest tests/unit/reranker/test_openvino_packed.py

Products on packed rows give the logits that padded rows give, and a graph of another kind stays as it is.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13

from facade.reranking.bundle import Bundle
from facade.reranking.tensors import ATTENTION_MASK, Row, pack
from reranker.engines.openvino.packed import FIRSTS, KEPT, PLACED, pack_products, places

EXACT = {"INFERENCE_PRECISION_HINT": openvino.Type.f32}
STEP = 16


def rows(bundle: Bundle, lengths: list[int]) -> list[Row]:
    generator = np.random.default_rng(1)
    segments = [np.array([0] * min(length, 9) + [1] * (length - min(length, 9)), np.int64) for length in lengths]
    return [Row(generator.integers(1000, 20_000, len(each)), each) for each in segments]


def test_tokens_are_taken_row_by_row_and_find_their_places_again() -> None:
    mask = np.array([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]], np.int64)
    given = places(mask, 5)
    assert given[KEPT].tolist() == [0, 1, 2, 4, 8, 9, 10, 11, 0, 0]
    assert given[FIRSTS].tolist() == [0, 3, 4]
    packed = np.arange(12)[given[KEPT]]
    assert (packed[given[PLACED]].reshape(mask.shape) * mask).tolist() == (np.arange(12).reshape(mask.shape) * mask).tolist()


@pytest.mark.parametrize("lengths", [[40], [1, 1], [16, 32], [3, 60, 17, 64, 5], [2] * 50])
def test_packed_products_give_the_logits_of_padded_ones(bundle: Bundle, computed: Callable[..., Any], lengths: list[int]) -> None:
    inputs = pack(rows(bundle, lengths), bundle, STEP)
    padded = computed(inputs, packed=False)
    assert len(padded) == len(lengths)
    np.testing.assert_allclose(computed(inputs | places(inputs[ATTENTION_MASK], STEP), packed=True), padded, rtol=0, atol=1e-5)


def test_tokens_that_fill_up_change_nothing(bundle: Bundle, computed: Callable[..., Any]) -> None:
    inputs = pack(rows(bundle, [7, 30]), bundle, STEP)
    one, other = (computed(inputs | places(inputs[ATTENTION_MASK], step), packed=True) for step in (1, 200))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def computed(bundle: Bundle) -> Callable[..., Any]:
    """Logits of a batch in fp32, by the bundle's graph as it is or with packed products."""
    core = openvino.Core()
    graphs = [core.read_model(str(bundle.graph("fp32"))) for _ in range(2)]
    assert pack_products(graphs[1])
    models = [core.compile_model(graph, "CPU", EXACT) for graph in graphs]

    def compute(inputs: dict[str, Any], *, packed: bool) -> Any:
        return models[packed](inputs)[0].reshape(-1).copy()

    return compute


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_both_graphs_of_the_bundle_are_of_the_kind(bundle: Bundle, precision: str) -> None:
    model = openvino.Core().read_model(str(bundle.graph(precision)))
    assert pack_products(model)
    assert {KEPT, PLACED, FIRSTS} < {port.any_name for port in model.inputs}


def other_graph(_: Bundle) -> Any:
    """Softmax over states, with no attention around it."""
    states = opset13.parameter([-1, -1, 8], np.float32)
    return openvino.Model([opset13.softmax(opset13.mvn(states, opset13.constant([2]), True, 1e-6, "INSIDE_SQRT"), -1)], [states])


def reader_of(model: Any) -> Any:
    """What reads first tokens for the last layer."""
    (reader,) = [node for node in model.get_ordered_ops() if node.get_friendly_name() == "/Slice"]
    return reader


def all_tokens_read(bundle: Bundle) -> Any:
    model = openvino.Core().read_model(str(bundle.graph("fp32")))
    for target in reader_of(model).output(0).get_target_inputs():
        target.replace_source_output(reader_of(model).input_value(0))
    model.validate_nodes_and_infer_types()
    return model


def second_tokens_read(bundle: Bundle) -> Any:
    model = openvino.Core().read_model(str(bundle.graph("fp32")))
    for place, bound in ((1, 1), (2, 2)):
        reader_of(model).input(place).replace_source_output(opset13.constant(np.array([bound], np.int64)).output(0))
    model.validate_nodes_and_infer_types()
    return model


def tokens_averaged(bundle: Bundle) -> Any:
    """Norms over the tokens of a text instead of a token's own numbers, from the first layer on."""
    model = openvino.Core().read_model(str(bundle.graph("fp32")))
    for node in [node for node in model.get_ordered_ops() if node.get_type_name() in {"MVN", "ReduceMean"}][1:]:
        node.input(1).replace_source_output(opset13.constant(np.array([1], np.int64)).output(0))
    model.validate_nodes_and_infer_types()
    return model


def drawn(model: Any) -> list[tuple[str, list[str]]]:
    """What the graph consists of, in order, with the shapes of what comes out."""
    return [(node.get_friendly_name(), [str(value.get_partial_shape()) for value in node.outputs()]) for node in model.get_ordered_ops()]


@pytest.mark.parametrize("make", [other_graph, all_tokens_read, second_tokens_read, tokens_averaged])
def test_a_graph_of_another_kind_stays_as_it_is(bundle: Bundle, make: Callable[[Bundle], Any]) -> None:
    model = make(bundle)
    before = drawn(model)
    assert not pack_products(model)
    assert drawn(model) == before
