"""int8 bundles: what is int8 in them, and that they score alike in every company and in every runtime."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from facade.config.settings import REPOSITORY, Settings  # noqa: E402
from facade.reranking.bundle import newest_version, read_bundle  # noqa: E402
from facade.reranking.pairs import PairTokenizer  # noqa: E402
from facade.reranking.tensors import MODEL  # noqa: E402
from reranker.engines import load_engine  # noqa: E402
from reranker.scheduler import Scheduler  # noqa: E402
from scripts import export_model  # noqa: E402
from scripts.export import trial  # noqa: E402
from scripts.export.checkpoint import ExportError  # noqa: E402
from scripts.export.stored_weights import share  # noqa: E402
from scripts.serving.in_process import logits, rows_of  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402
from tests.conftest import ROOT  # noqa: E402
from tests.tiny_checkpoints.tokenizers import TEXTS  # noqa: E402

PASSAGES = ["two roads diverged", "", "in a yellow wood " * 3, "then took the other, as just as fair " * 8]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = tiny_checkpoints.save("bert", tmp_path_factory.mktemp("checkpoint") / "tiny")
    texts = checkpoint / "texts.jsonl"
    texts.write_text("".join(json.dumps({"query": text, "passages": PASSAGES}) + "\n" for text in TEXTS))
    out = tmp_path_factory.mktemp("int8") / "1"
    options = ["--model", str(checkpoint), "--out", str(out), "--precision", "int8", "--calibration", str(texts)]
    assert export_model.main(options) == 0
    return out


def test_products_with_weights_are_int8(bundle: Path) -> None:
    graph = onnx.load(str(bundle / "model.int8.onnx")).graph
    makers = {output: node for node in graph.node for output in node.output}
    products = [node for node in graph.node if node.op_type == "MatMul"]
    int8 = [node for node in products if all(makers[name].op_type == "DequantizeLinear" for name in node.input)]
    assert len(int8) == 2 * 6  # two layers: query, key, value, attention's output, and both of the feed-forward
    assert len(products) - len(int8) == 2 * 2  # attention's own
    assert not any(node.op_type.startswith("Dynamic") for node in graph.node)


def test_zero_is_zero_in_every_scale(bundle: Path) -> None:
    graph = onnx.load(str(bundle / "model.int8.onnx")).graph
    stored = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
    zeros = [stored[node.input[2]] for node in graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert zeros
    assert not any(zero.any() for zero in zeros)


def test_both_graphs_share_their_weights(bundle: Path) -> None:
    borrowed = {
        weight.name: weight.data_location
        for weight in onnx.load(str(bundle / "model.int8.onnx"), load_external_data=False).graph.initializer
        if len(weight.dims) == 2 and min(weight.dims) > 1
    }
    owned = {
        weight.name for weight in onnx.load(str(bundle / "model.onnx")).graph.initializer if len(weight.dims) == 2 and min(weight.dims) > 1
    }
    assert {name.removesuffix(".exact") for name in borrowed} == owned
    assert set(borrowed.values()) == {onnx.TensorProto.EXTERNAL}
    tensors = onnx.load(str(bundle / "model.int8.onnx")).graph.initializer  # reads what it borrows
    own = {weight.name: onnx.numpy_helper.to_array(weight) for weight in onnx.load(str(bundle / "model.onnx")).graph.initializer}
    for tensor in tensors:
        if tensor.name in borrowed:
            np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), own[tensor.name.removesuffix(".exact")])


def test_manifest_vouches_for_both_and_says_how_far_each_is_from_the_reference(bundle: Path) -> None:
    manifest = json.loads((bundle / "reranker.json").read_text())
    assert set(manifest["files"]) == {"model.onnx", "model.int8.onnx", "tokenizer.json"}
    assert manifest["precision"] == "fp32"
    assert manifest["parity"]["max_abs_difference"] < 1e-4
    assert manifest["int8_parity"]["max_abs_difference"] > 1e-4
    assert manifest["int8_parity"]["rank_agreement"] > 0.9


def test_an_export_without_int8_takes_an_older_int8_graph_away(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "1"
    shutil.copytree(bundle, out)
    checkpoint = tiny_checkpoints.save("bert", tmp_path / "tiny")
    assert export_model.main(["--model", str(checkpoint), "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"model.onnx", "tokenizer.json", "reranker.json", "README.md"}
    assert "int8_parity" not in json.loads((out / "reranker.json").read_text())


def test_a_borrower_with_another_weight_is_refused(tmp_path: Path) -> None:
    for name, seed in (("owner.onnx", 0), ("borrower.onnx", 1)):
        weight = onnx.numpy_helper.from_array(np.random.default_rng(seed).random((16, 16), np.float32), "w")
        node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
        values = [onnx.helper.make_tensor_value_info(each, onnx.TensorProto.FLOAT, [None, 16]) for each in ("x", "y")]
        onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:], [weight])), str(tmp_path / name))
    with pytest.raises(ExportError, match="another w than the graph it was made of"):
        share(tmp_path / "borrower.onnx", tmp_path / "owner.onnx", {})


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_scores_are_the_same_bit_for_bit_alone_and_in_company(name: str) -> None:
    """The default model's: the tiny one is too small for a last bit to grow into anything."""
    default = read_bundle(newest_version(REPOSITORY / MODEL))
    engine, _ = load_engine(default, Settings(engine=name, precision="int8"))
    assert engine.precision == "int8"
    rows = []
    for asked in json.loads((ROOT / "tests/data/squad_pairs.json").read_text())[:6]:
        rows += rows_of(PairTokenizer(default, 256).encode(asked["query"], asked["passages"], truncate=True))
    alone = [engine.infer([row]).tolist()[0] for row in rows]
    assert np.ptp(alone) > 1
    assert engine.infer(rows).tolist() == alone
    for budget in (1024, 300):
        assert logits(Scheduler(engine, default.max_seq_len, budget), rows).tolist() == alone


@pytest.mark.parametrize("line", ["{", '{"query": "q"}', '{"query": "q", "passages": "p"}', '{"query": 1, "passages": []}', "[1]"])
def test_a_faulty_line_of_calibration_texts_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"query": "q", "passages": ["p"]}\n' + line + "\n")
    with pytest.raises(ExportError, match="line 2: expected"):
        trial.read(path)


def test_an_empty_file_of_calibration_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").touch()
    with pytest.raises(ExportError, match="is empty"):
        trial.read(tmp_path / "texts.jsonl")
