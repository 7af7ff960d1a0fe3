"""python -m pytest tests/unit/test_layout.py

The rules of the house that no linter holds: sizes, docstrings, names, and that the model's configuration is the tensor contract.
"""

import ast
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig
from tritonclient.utils import np_to_triton_dtype

from facade.config.settings import REPOSITORY
from facade.reranking import tensors
from facade.reranking.bundle import Bundle
from facade.reranking.ranking import MAX_PASSAGES
from facade.reranking.tensors import Row, pack
from tests.conftest import ROOT

FACADE = sorted((ROOT / "facade").rglob("*.py"))
MODELS = sorted(path for path in REPOSITORY.rglob("*.py") if not path.is_symlink())
SOURCES = [*FACADE, *MODELS, *sorted((ROOT / "scripts").rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MOST_LINES = 250
MOST_LINES_OF_A_FUNCTION = 50
GRAB_BAGS = {"utils", "util", "common", "helpers", "helper", "misc", "tools", "lib", "base", "core"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def nodes(path: Path) -> list[ast.AST]:
    """All nodes of the module's syntax tree, the module first."""
    return list(ast.walk(ast.parse(path.read_text())))


def module(path: Path) -> ast.Module:
    first = nodes(path)[0]
    assert isinstance(first, ast.Module)
    return first


def imports(path: Path) -> Iterator[str]:
    """The full names of what the module imports, wherever in it."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_is_something_to_hold_to_the_rules() -> None:
    assert len(FACADE) > 40
    assert len(MODELS) > 15
    assert len(SOURCES) > 150


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_every_module_says_what_it_is_for() -> None:
    assert [named(path) for path in SOURCES if not ast.get_docstring(module(path))] == []


def test_a_module_fits_on_two_screens() -> None:
    assert [named(path) for path in SOURCES if lines(path) > MOST_LINES] == []


def test_a_function_fits_on_half_a_screen() -> None:
    functions = ((path, node) for path in SOURCES for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    long = [(path, node.name) for path, node in functions if (node.end_lineno or 0) - node.lineno >= MOST_LINES_OF_A_FUNCTION]
    assert [f"{named(path)}: {name}" for path, name in long] == []


def test_no_module_is_a_grab_bag() -> None:
    names = {path: {path.stem, *path.relative_to(ROOT).parts[:-1]} for path in [*SOURCES, *TESTS]}
    assert [named(path) for path, parts in names.items() if GRAB_BAGS & parts] == []


def test_only_the_models_life_cycle_knows_triton() -> None:
    others = [path for path in MODELS if path.name != "model.py"]
    assert [named(path) for path in others if any(name.startswith(("triton", "pb_utils")) for name in imports(path))] == []


def test_validation_is_never_an_assert() -> None:
    assert [named(path) for path in SOURCES if any(isinstance(node, ast.Assert) for node in nodes(path))] == []


def test_the_models_name_of_nims_own_clients_leads_to_the_text_model(bundle: Bundle) -> None:
    links = [path for path in REPOSITORY.iterdir() if path.is_symlink()]
    assert [path.name for path in links] == [bundle.triton_name]
    assert links[0].readlink() == Path("rerank_text")
    assert (links[0] / "config.pbtxt").is_file()


def config(model: str) -> ModelConfig:
    return text_format.Parse((REPOSITORY / model / "config.pbtxt").read_text(), ModelConfig())


@pytest.mark.parametrize("model", ["reranker", "rerank_text"])
def test_a_configuration_takes_a_whole_request_and_states_no_name_that_a_link_would_break(model: str) -> None:
    declared = config(model)
    if declared.max_batch_size:
        assert declared.max_batch_size == MAX_PASSAGES
    else:  # then each tensor says by itself that it has as many rows as there are; the model counts them
        assert all(tensor.dims[0] == -1 for tensor in (*declared.input, *declared.output))
    assert declared.name == ""
    assert declared.backend == "python"


@pytest.mark.parametrize("model", ["reranker", "rerank_text"])
def test_no_queue_policy_makes_triton_leave_calls_lying(model: str) -> None:
    """Its batcher (2.51) sleeps beside any of these; tests/triton/test_batching.py measures it for what is configured."""
    batching = config(model).dynamic_batching
    assert not batching.HasField("default_queue_policy")
    assert not batching.priority_levels
    assert not batching.preferred_batch_size


def test_the_configuration_is_the_tensor_contract() -> None:
    declared = config("reranker")
    inputs = [(t.name, DataType.Name(t.data_type), tuple(t.dims), t.optional, t.allow_ragged_batch) for t in declared.input]
    assert inputs == [(spec.name, triton_type(spec), spec.dims, spec.optional, spec.ragged) for spec in tensors.inputs()]
    outputs = [(tensor.name, DataType.Name(tensor.data_type), tuple(tensor.dims)) for tensor in declared.output]
    assert outputs == [(spec.name, triton_type(spec), spec.dims) for spec in tensors.OUTPUTS]


def triton_type(spec: tensors.Spec) -> str:
    """Its type as config.pbtxt writes it."""
    return f"TYPE_{np_to_triton_dtype(np.dtype(spec.dtype)).replace('BYTES', 'STRING')}"


def test_the_readme_names_the_inputs_of_the_tensor_contract() -> None:
    row = next(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| gRPC, port 8001, model `reranker`"))
    assert ", ".join(f"`{spec.name}`" for spec in tensors.inputs()) in row


@pytest.mark.parametrize("segment_ids", [True, False])
def test_what_is_packed_is_what_the_configuration_declares(bundle: Bundle, segment_ids: bool) -> None:
    own = replace(bundle, pair_encoding=replace(bundle.pair_encoding, segment_ids=segment_ids))
    packed = pack([Row(np.array([1, 2], np.int64), np.array([0, 1], np.int64))], own)
    declared = {tensor.name: tensor for tensor in config("reranker").input}
    required = {name for name, tensor in declared.items() if not tensor.optional}
    further = {spec.name for spec in tensors.EXTRA_INPUTS}
    assert set(packed) == (set(declared) - further if segment_ids else required)
    for name, array in packed.items():
        assert f"TYPE_{np_to_triton_dtype(array.dtype)}" == DataType.Name(declared[name].data_type)
        assert declared[name].allow_ragged_batch
