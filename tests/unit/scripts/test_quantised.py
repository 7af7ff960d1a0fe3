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
from scripts.export import families, graph, quantised, runtimes, trial  # noqa: E402
from scripts.export.checkpoint import ExportError  # noqa: E402
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


def test_matrices_lie_as_int8_beside_the_graph(bundle: Path) -> None:
    tensors = onnx.load(str(bundle / "model.int8.onnx"), load_external_data=False).graph.initializer
    matrices = [tensor for tensor in tensors if len(tensor.dims) == 2 and tensor.name.endswith(".rounded")]
    assert len(matrices) == 2 * 6 + 1  # of the products, and the table of the vocabulary
    assert {tensor.data_type for tensor in matrices} == {onnx.TensorProto.INT8}
    places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in matrices if tensor.external_data]
    assert {place["location"] for place in places} == {"model.int8.onnx.data"}
    assert not any(int(place["offset"]) % 4096 for place in places)
    table = next(tensor for tensor in matrices if tensor.dims[0] > 10_000)
    assert table.data_location == onnx.TensorProto.EXTERNAL


def test_rounded_values_are_within_half_a_step_of_the_weights(bundle: Path) -> None:
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(str(bundle / "model.int8.onnx")).graph.initializer}
    exact = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(str(bundle / "model.onnx")).graph.initializer}
    (name,) = [name.removesuffix(".rounded") for name, values in stored.items() if name.endswith(".rounded") and len(values) > 10_000]
    rounded, steps = stored[f"{name}.rounded"], stored[f"{name}.steps"]
    assert rounded.dtype == np.int8
    assert np.abs(rounded * steps - exact.get(name, exact.get(f"{name}.fp16"))).max() <= 0.51 * steps.max()


@pytest.mark.parametrize("largest_file", [1, 2**40])
def test_weights_are_read_wherever_they_lie(largest_file: int, tmp_path: Path) -> None:
    checkpoint = families.load(tiny_checkpoints.save("xlm-roberta", tmp_path / "checkpoint"))
    graph.write(checkpoint, tmp_path / "model.onnx", largest_file)
    assert (tmp_path / "model.onnx.data").exists() == (largest_file == 1)
    ids = np.arange(5, 35, dtype=np.int64)[None]
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    quantised.quantise(tmp_path / "model.onnx", tmp_path / "int8.onnx", [inputs])
    exact, rounded = (runtimes.load(tmp_path / name, "fp32")[0](inputs) for name in ("model.onnx", "int8.onnx"))
    np.testing.assert_allclose(rounded, exact, rtol=0, atol=0.3)


def test_manifest_vouches_for_both_and_says_how_far_each_is_from_the_reference(bundle: Path) -> None:
    manifest = json.loads((bundle / "reranker.json").read_text())
    assert set(manifest["files"]) == {"model.onnx", "model.int8.onnx", "model.int8.onnx.data", "tokenizer.json"}
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
