"""int8 bundles: what is int8 in them, and that they score alike in every company and in every runtime."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from engines import load_engine  # noqa: E402
from scoring import Scorer  # noqa: E402

from facade.bundle import Bundle, newest_version, read_bundle  # noqa: E402
from facade.pairs import PairTokenizer  # noqa: E402
from facade.settings import REPOSITORY, Settings  # noqa: E402
from facade.tensors import MODEL, Row  # noqa: E402
from scripts import export_model, rebuild_checkpoint  # noqa: E402
from scripts.export import sample  # noqa: E402
from scripts.export.checkpoint import ExportError  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402
from tests.conftest import ROOT  # noqa: E402

PASSAGES = ["two roads diverged", "", "in a yellow wood " * 3, "then took the other, as just as fair " * 8]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tiny_checkpoints.save("bert", tmp_path_factory.mktemp("checkpoint") / "tiny")
    texts = checkpoint / "texts.jsonl"
    texts.write_text("".join(json.dumps({"query": text, "passages": PASSAGES}) + "\n" for text in tiny_checkpoints.TEXTS))
    out = tmp_path_factory.mktemp("int8") / "1"
    told = ["--model", str(checkpoint), "--out", str(out), "--precision", "int8", "--calibration", str(texts)]
    assert export_model.main(told) == 0
    return out


def test_weights_are_stored_and_multiplied_as_int8(bundle: Path) -> None:
    graph = onnx.load(str(bundle / "model.onnx")).graph
    makers = {output: node for node in graph.node for output in node.output}
    weights = {weight.name: weight.data_type for weight in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    int8 = [node for node in products if all(makers[name].op_type == "DequantizeLinear" for name in node.input)]
    assert len(int8) == 2 * 6  # two layers: query, key, value, attention's output, and both of the feed-forward
    assert {weights[makers[node.input[1]].input[0]] for node in int8} == {onnx.TensorProto.INT8}
    assert len(products) - len(int8) == 2 * 2  # attention's own
    assert not any(node.op_type.startswith("Dynamic") for node in graph.node)


def test_zero_is_zero_in_every_scale(bundle: Path) -> None:
    graph = onnx.load(str(bundle / "model.onnx")).graph
    stored = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
    zeros = [stored[node.input[2]] for node in graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert zeros
    assert not any(zero.any() for zero in zeros)


def test_manifest_says_so_and_how_far_it_is_from_the_reference(bundle: Path) -> None:
    manifest = json.loads((bundle / "reranker.json").read_text())
    assert manifest["precision"] == "int8"
    assert manifest["parity"]["max_abs_difference"] > 1e-4
    assert manifest["parity"]["rank_agreement"] > 0.9


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The default model in int8: the tiny one is too small for a last bit to grow into anything."""
    folder = tmp_path_factory.mktemp("default")
    rebuild_checkpoint.write(newest_version(REPOSITORY / MODEL), folder / "checkpoint")
    told = ["--model", str(folder / "checkpoint"), "--out", str(folder / "1"), "--precision", "int8", "--longest", "64"]
    assert export_model.main(told) == 0
    return read_bundle(folder / "1")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_scores_are_the_same_bit_for_bit_alone_and_in_company(default: Bundle, name: str) -> None:
    engine, _ = load_engine(default, Settings(engine=name))
    assert engine.precision == "int8"
    rows = []
    for asked in json.loads((ROOT / "tests/data/squad_pairs.json").read_text())[:6]:
        pairs = PairTokenizer(default, 256).encode(asked["query"], asked["passages"], truncate=True)
        rows += [Row(np.array(ids), np.repeat([0, 1], [pairs.query_length, len(ids) - pairs.query_length])) for ids in pairs.rows]
    alone = [Scorer(engine, default, 1).score([row])[0] for row in rows]
    assert np.ptp(np.array(alone, np.float32)) > 1
    assert Scorer(engine, default, 1 << 20).score(rows) == alone
    assert Scorer(engine, default, 1024).score(rows) == alone


@pytest.mark.parametrize("line", ["{", '{"query": "q"}', '{"query": "q", "passages": "p"}', '{"query": 1, "passages": []}', "[1]"])
def test_a_faulty_line_of_calibration_texts_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"query": "q", "passages": ["p"]}\n' + line + "\n")
    with pytest.raises(ExportError, match="line 2: expected"):
        sample.read(path)


def test_an_empty_file_of_calibration_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").touch()
    with pytest.raises(ExportError, match="is empty"):
        sample.read(tmp_path / "texts.jsonl")
