"""The exporter on a tiny random BERT: what a bundle consists of, and what is refused before anything is written."""

import json
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from facade.errors import BundleError  # noqa: E402
from facade.reranking.bundle import file_digest, manifest_digest, read_bundle  # noqa: E402
from scripts import export_model  # noqa: E402
from scripts.export import parity, stored_weights  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402

FILES = {"model.onnx", "tokenizer.json", "reranker.json", "README.md"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.save("bert", tmp_path_factory.mktemp("checkpoints") / "tiny-bert")


@pytest.fixture(scope="module")
def bundle(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "1"
    assert export_model.main(["--model", str(checkpoint), "--out", str(out), "--name", "tests/tiny"]) == 0
    return out


def test_bundle_is_four_files_and_nothing_left_beside(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == FILES
    assert [path.name for path in bundle.parent.iterdir()] == ["1"]


def test_manifest_seals_itself_and_its_files(bundle: Path) -> None:
    content = json.loads((bundle / "reranker.json").read_text())
    assert content["digest"] == manifest_digest(content)
    assert content["files"] == {name: file_digest(bundle / name) for name in ("model.onnx", "tokenizer.json")}
    assert content["pair_encoding"] == {
        "before_query": [101],
        "between": [102],
        "after_passage": [102],
        "segment_ids": True,
        "query_prefix": "",
        "query_suffix": "",
        "passage_prefix": "",
    }
    assert (content["model_id"], content["family"], content["max_seq_len"], content["pad_id"]) == ("tests/tiny", "bert", 96, 0)
    assert content["source"] == {"model": "tiny-bert", "revision": None}


def test_parity_report_covers_all_lengths(bundle: Path) -> None:
    report = json.loads((bundle / "reranker.json").read_text())["parity"]
    assert (report["pairs"], report["longest"], report["rank_agreement"], report["top_flips"]) == (64, 96, 1.0, 0)
    assert 0 < report["mean_abs_difference"] < report["max_abs_difference"] < parity.TOLERANCES["fp32"].difference


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_lower_precision_halves_the_weights_and_is_measured(precision: str, checkpoint: Path, bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export_model.main(["--model", str(checkpoint), "--out", str(out), "--precision", precision]) == 0
    manifest = json.loads((out / "reranker.json").read_text())
    assert manifest["precision"] == precision
    assert parity.TOLERANCES["fp32"].difference < manifest["parity"]["max_abs_difference"]
    assert (out / "model.onnx").stat().st_size < 0.6 * (bundle / "model.onnx").stat().st_size
    weights = onnx.load(str(out / "model.onnx")).graph.initializer
    kinds = {weight.data_type for weight in weights if np.prod(weight.dims) >= 64 and weight.data_type != onnx.TensorProto.INT64}
    assert kinds == {onnx.TensorProto.FLOAT16 if precision == "fp16" else onnx.TensorProto.BFLOAT16}


def test_tokenizer_neither_pads_nor_truncates(bundle: Path) -> None:
    content = json.loads((bundle / "tokenizer.json").read_text())
    assert content["padding"] is None
    assert content["truncation"] is None


def test_graph_keeps_the_contract(bundle: Path) -> None:
    graph = onnx.load(str(bundle / "model.onnx"))
    types = onnx.TensorProto
    inputs = {value.name: value.type.tensor_type for value in graph.graph.input}
    assert set(inputs) == {"input_ids", "attention_mask", "token_type_ids"}
    assert all(kind.elem_type == types.INT64 for kind in inputs.values())
    assert all([axis.dim_param for axis in kind.shape.dim] == ["batch", "sequence"] for kind in inputs.values())
    (output,) = graph.graph.output
    assert (output.name, output.type.tensor_type.elem_type) == ("logits", types.FLOAT)
    assert [axis.dim_param for axis in output.type.tensor_type.shape.dim] == ["batch"]


def test_failed_parity_changes_nothing(
    checkpoint: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(parity.TOLERANCES, "fp32", parity.Tolerance(0.0, 1.0))
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert export_model.main(["--model", str(checkpoint), "--out", str(bundle), "--name", "tests/other"]) == 1
    assert "nothing is written:\n  query " in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert [path.name for path in bundle.parent.iterdir()] == ["1"]


def test_an_export_over_another_bundle_leaves_nothing_of_it_and_all_that_is_not_a_bundle_s(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "1"
    out.mkdir()
    for name in ("model.onnx", "model.onnx.data", "model.int8.onnx", "README.md", "model.plan", "build_plan.sh", "model.py", "notes.txt"):
        (out / name).write_text("of another model")
    assert export_model.main(["--model", str(checkpoint), "--out", str(out), "--name", "tests/tiny"]) == 0
    assert {path.name for path in out.iterdir()} == FILES | {"model.py", "notes.txt"}
    assert (out / "README.md").read_text().startswith("# tests/tiny\n")
    assert {name for name in FILES if (out / name).read_bytes() == b"of another model"} == set()


def test_an_export_to_a_linked_folder_writes_into_the_folder(checkpoint: Path, tmp_path: Path) -> None:
    folder, link = tmp_path / "elsewhere" / "bundle", tmp_path / "model" / "1"
    folder.mkdir(parents=True)
    link.parent.mkdir()
    link.symlink_to(folder)
    assert export_model.main(["--model", str(checkpoint), "--out", str(link)]) == 0
    assert link.is_symlink()
    assert {path.name for path in folder.iterdir()} == FILES


@pytest.mark.parametrize("moved", range(len(FILES)))
def test_a_bundle_that_is_half_replaced_is_never_taken_for_whole(
    moved: int, checkpoint: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine stops after `moved` files: the old manifest vouches for none but the old files."""
    out = tmp_path / "1"
    shutil.copytree(bundle, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    torch.manual_seed(moved)
    other = tmp_path / "checkpoint"
    transformers.BertForSequenceClassification(transformers.AutoConfig.from_pretrained(checkpoint)).save_pretrained(other)
    for path in checkpoint.glob("tokenizer*"):
        shutil.copy(path, other)
    replace, count = Path.replace, iter(range(99))

    def replace_some(self: Path, target: Path) -> Path:
        if next(count) >= moved:
            raise OSError("the power is off")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_some)
    assert export_model.main(["--model", str(other), "--out", str(out)]) == 1
    whole = read_bundle(out)
    assert whole.digest == json.loads(before["reranker.json"])["digest"]
    if (out / "model.onnx").read_bytes() == before["model.onnx"]:
        whole.verify("model.onnx", "tokenizer.json")
    else:
        with pytest.raises(BundleError, match=r"model\.onnx is not the file that reranker\.json describes"):
            whole.verify("model.onnx", "tokenizer.json")


def test_a_full_disk_is_seen_before_the_work(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    assert export_model.main(["--model", str(checkpoint), "--out", str(tmp_path / "out")]) == 1
    assert "0.0 GB free" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_only_what_fp16_holds_exactly_is_halved() -> None:
    numbers = {
        "exact": np.linspace(-1, 1, 65, dtype=np.float32),
        "inexact": np.full(64, 0.1, np.float32),
        "large": np.full(64, 1e6, np.float32),
        "small": np.ones(4, np.float32),
    }
    nodes = [onnx.helper.make_node("Identity", [name], [f"{name}.out"]) for name in numbers]
    weights = [onnx.numpy_helper.from_array(values, name) for name, values in numbers.items()]
    graph = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], weights))
    assert stored_weights.halve(graph) == 1
    assert {weight.name for weight in graph.graph.initializer} == {"exact.fp16", "inexact", "large", "small"}
    assert (graph.graph.node[0].op_type, list(graph.graph.node[0].output)) == ("Cast", ["exact"])
