"""python -m pytest tests/unit/reranker/test_torch_packed_weights.py

Weights are found in the graphs of both exporters, bit for bit: folded, merged, halved, and in a file of their own.
"""

from pathlib import Path

import pytest

pytestmark = pytest.mark.long

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("transformers")

from facade.errors import SettingsError  # noqa: E402
from facade.reranking.bundle import Bundle  # noqa: E402
from reranker.engines.torch_packed.engine import start  # noqa: E402
from reranker.engines.torch_packed.onnx_weights import read_weights  # noqa: E402
from reranker.engines.torch_packed.weights import Weights  # noqa: E402
from scripts.export import families, graph, stored_weights  # noqa: E402
from scripts.export.checkpoint import Checkpoint  # noqa: E402
from scripts.export.precision import lowered  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402
from tests.unit.reranker.packed_rows import bundle_of, named, random_rows, reference, tiny  # noqa: E402

PREFIXES = {"bert": "model.", "llama_bidirec": ""}


def check(path: Path, checkpoint: Checkpoint) -> None:
    """All of the checkpoint's weights are in the graph, and it is read without a difference."""
    found, expected = read_weights(path, PREFIXES[checkpoint.family]), named(checkpoint)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert len(found) >= len(expected)


@pytest.mark.parametrize(("family", "precision"), [("bert", "fp16"), ("bert", "bf16"), ("llama_bidirec", "bf16")])
def test_weights_keep_the_graph_s_precision(family: str, precision: str, tmp_path: Path) -> None:
    checkpoint = lowered(tiny(family, tmp_path)[0], precision)
    graph.write(checkpoint, tmp_path / "model.onnx")
    check(tmp_path / "model.onnx", checkpoint)


def test_weights_in_a_file_of_their_own_and_what_is_computed_with_them(tmp_path: Path, bundle: Bundle) -> None:
    checkpoint, entry = tiny("llama_bidirec", tmp_path)
    graph.write(checkpoint, tmp_path / "model.onnx", largest_file=1)
    assert (tmp_path / "model.onnx.data").is_file()
    check(tmp_path / "model.onnx", checkpoint)
    own = bundle_of(bundle, tmp_path, checkpoint, entry)
    rows = random_rows((9, 30), own.vocabulary_size)
    assert start(own, "fp32", 1).infer(rows).tolist() == pytest.approx(reference(checkpoint, rows), abs=1e-4)


@pytest.mark.parametrize("family", sorted(PREFIXES))
def test_weights_that_were_halved_without_loss(family: str, tmp_path: Path) -> None:
    checkpoint, _ = tiny(family, tmp_path)
    with torch.no_grad():
        for parameter in checkpoint.module.parameters():
            parameter.copy_(parameter.half())
    path = tmp_path / "model.onnx"
    graph.write(checkpoint, path)
    model = onnx.load(str(path))
    assert stored_weights.halve(model) > 10
    onnx.save(model, str(path))
    check(path, checkpoint)


def test_weights_that_the_exporter_has_merged(tmp_path: Path) -> None:
    checkpoint = families.load(tiny_checkpoints.save("llama_bidirec", tmp_path))  # its norms are all ones
    graph.write(checkpoint, tmp_path / "model.onnx")
    check(tmp_path / "model.onnx", checkpoint)


def test_a_graph_of_something_else_is_refused_in_words(tmp_path: Path) -> None:
    one = onnx.helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["rows"])
    other = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["input_ids"], ["logits"])], "g", [one], [one])
    onnx.save(onnx.helper.make_model(other), str(tmp_path / "model.onnx"))
    with pytest.raises(SettingsError, match="make export-model"):
        read_weights(tmp_path / "model.onnx", "")


def test_a_weight_that_is_missing_is_named() -> None:
    weights = Weights({"a.weight": torch.ones(2, 2)}, torch.device("cpu"), torch.float32)
    with pytest.raises(SettingsError, match=r"holds no b\.weight: export the model again"):
        weights.linear("a", "b", bias=False)


def test_several_names_make_one_product() -> None:
    stored = {"a.weight": torch.ones(2, 3), "b.weight": torch.zeros(1, 3), "a.bias": torch.ones(2), "b.bias": torch.zeros(1)}
    made = Weights(stored, torch.device("cpu"), torch.bfloat16).linear("a", "b")
    assert made.weight.shape == (3, 3)
    assert made.bias.tolist() == [1.0, 1.0, 0.0]
    assert made.weight.dtype == torch.bfloat16
    assert not made.weight.requires_grad
