"""The exporter on a tiny random BERT with a real word-piece tokenizer."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors  # noqa: E402

from facade.bundle import file_digest, manifest_digest  # noqa: E402
from scripts import export_model  # noqa: E402
from scripts.export import bert, half_weights, parity  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")]


def save_checkpoint(folder: Path, labels: int = 1, pair: str = "[CLS] $A [SEP] $B:1 [SEP]:1") -> Path:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=labels,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair=pair, special_tokens=specials)
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(16)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkpoint = save_checkpoint(tmp_path_factory.mktemp("checkpoint"))
    out = tmp_path_factory.mktemp("model") / "1"
    assert export_model.main(["--model", str(checkpoint), "--out", str(out), "--name", "tests/tiny"]) == 0
    return out


def test_bundle_is_three_files_and_nothing_left_beside(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == set(export_model.FILES)
    assert [path.name for path in bundle.parent.iterdir()] == ["1"]


def test_manifest_seals_itself_and_its_files(bundle: Path) -> None:
    content = json.loads((bundle / "reranker.json").read_text())
    assert content["digest"] == manifest_digest(content)
    assert content["files"] == {name: file_digest(bundle / name) for name in ("model.onnx", "tokenizer.json")}
    assert content["pair_encoding"] == {"before_query": [2], "between": [3], "after_passage": [3], "segment_ids": True}
    assert (content["model_id"], content["max_seq_len"], content["pad_id"]) == ("tests/tiny", 64, 0)
    assert content["parity"]["pairs"] >= 64
    assert content["parity"]["max_abs_difference"] <= parity.TOLERANCE


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
    large = [weight for weight in graph.graph.initializer if np.prod(weight.dims) >= 64 and weight.data_type == types.FLOAT]
    assert not large


def test_failed_parity_changes_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parity, "TOLERANCE", -1.0)
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    checkpoint = save_checkpoint(tmp_path / "checkpoint")
    assert export_model.main(["--model", str(checkpoint), "--out", str(bundle), "--name", "tests/other"]) == 1
    assert "pair 0 (1 tokens)" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_more_labels_than_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="num_labels=1"):
        bert.load(save_checkpoint(tmp_path, labels=2))


def test_another_way_of_joining_pairs_is_refused(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / "checkpoint", pair="[CLS] $A [SEP] [SEP] $B:1 [SEP]:1")
    with pytest.raises(export_model.ExportError, match="joins pairs"):
        export_model.export(checkpoint, tmp_path / "out", "tests/tiny", "1", export_model.UNSTATED)
    assert not (tmp_path / "out").exists()


def test_licence_comes_from_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = save_checkpoint(tmp_path / "checkpoint")
    (checkpoint / "licence.json").write_text('{"name": "CC0", "text": "Free."}')
    assert export_model.main(["--model", str(checkpoint), "--out", str(tmp_path / "out"), "--name", "t/t"]) == 0
    assert json.loads((tmp_path / "out" / "reranker.json").read_text())["licence"] == {"name": "CC0", "text": "Free."}


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
    assert half_weights.halve(graph) == 1
    assert {weight.name for weight in graph.graph.initializer} == {"exact.fp16", "inexact", "large", "small"}
    assert (graph.graph.node[0].op_type, list(graph.graph.node[0].output)) == ("Cast", ["exact"])


def test_a_logit_that_is_no_number_fails_parity() -> None:
    comparison = parity.Comparison([7], np.array([np.nan], dtype=np.float32))
    assert comparison.failures == ["pair 0 (7 tokens): logits differ by nan"]
