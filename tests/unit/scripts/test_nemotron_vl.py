"""The bundle of a vision-language reranker scores as its checkpoint does, and a fault of any part would be seen."""

import json
import shutil
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("onnxruntime")

import onnx
import torch
from numpy.typing import NDArray

from facade.reranking.bundle import Bundle, file_digest, read_bundle
from facade.reranking.tensors import Row
from scripts import export_model
from scripts.export import families, graph, runtimes
from scripts.export.precision import lowered
from scripts.export.served import Served
from scripts.export.trial import Trial, image_trials
from tests.exported import Exports
from tests.vl_checkpoint import LIMIT, MOST_TILES, TILE, TOKENS_PER_TILE, make_checkpoint
from tests.vl_images import SIZES, image_of
from tests.vl_oracle import CHANGES, GRIDS, Oracle

TOLERANCE = 1e-4
QUERY = "which way should i go?"
TEXT = "two roads diverged in a yellow wood"
TEXTS = [TEXT, "", "then took the other,\n\nas just as fair", "far too long " * 200]
# Each image alone and with a text, and texts alone.
PAIRS = [(text, image_of(tiles)) for tiles, text in product(SIZES, ("", TEXT))] + [(text, None) for text in TEXTS[:3]]


@dataclass(frozen=True)
class Tried:
    """A bundle's rows of PAIRS, their logits one by one, and its graphs; `oracle`: of its checkpoint."""

    bundle: Bundle
    served: Served
    rows: list[Row]
    run: runtimes.Run
    oracle: Oracle

    def logits(self, rows: list[Row]) -> NDArray[np.float32]:
        return self.run(self.served.inputs(rows))


@pytest.fixture(scope="module")
def tried(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    bundle = read_bundle(exports.vl_bundle(tmp_path_factory.mktemp("vl") / "1"))
    trial = Trial(QUERY, [text for text, _ in PAIRS], tuple(image for _, image in PAIRS))
    served = Served(bundle, bundle.max_seq_len, [trial])
    run, _ = runtimes.load(bundle.graph("fp32"), "fp32")
    return Tried(bundle, served, served.rows(trial), run, Oracle(exports.vl_checkpoint()))


@pytest.fixture(scope="module")
def expected(tried: Tried) -> list[float]:
    return [tried.oracle.logit(QUERY, text, image) for text, image in PAIRS]


def test_each_pair_alone_has_the_oracle_s_logit(tried: Tried, expected: list[float]) -> None:
    found = [float(tried.logits([row])[0]) for row in tried.rows]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert {len(row.extra["image_features"]) // TOKENS_PER_TILE if row.extra else 0 for row in tried.rows} == {0, 1, 3, 4, 5, 6, 7}


def test_pairs_in_mixed_company_have_the_oracle_s_logits(tried: Tried, expected: list[float]) -> None:
    order = np.random.default_rng(3).permutation(len(PAIRS))
    found = tried.logits([tried.rows[place] for place in order])
    np.testing.assert_allclose(found, np.array(expected)[order], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_fault_moves_a_logit_by_far_more_than_is_allowed(change: str, tried: Tried, expected: list[float]) -> None:
    """What another bundle or server would score, by the oracle: ten times outside of the tolerance of the tests above."""
    faulty = Oracle(tried.oracle.folder, {change})
    assert max(abs(faulty.logit(QUERY, text, image) - own) for (text, image), own in zip(PAIRS, expected, strict=True)) > 10 * TOLERANCE


def test_both_names_of_the_vision_weights_are_the_same_model(exports: Exports, tmp_path: Path) -> None:
    new, old = (families.load(folder) for folder in (exports.vl_checkpoint(), make_checkpoint(tmp_path / "old", flat_vision=False)))
    assert new.images
    assert old.images
    for module, other in ((new.module, old.module), (new.images.module, old.images.module)):
        weights, others = module.state_dict(), other.state_dict()
        assert list(weights) == list(others)
        assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_the_manifest_says_how_rows_take_images(tried: Tried) -> None:
    block, manifest = tried.bundle.image, tried.bundle.manifest
    tokenizer = families.load(tried.oracle.folder).tokenizer
    assert block
    assert manifest["modalities"] == ["text", "image", "text_image"]
    assert (block.tile_size, block.most_tiles, block.thumbnail, block.tokens_per_tile) == (TILE, MOST_TILES, True, TOKENS_PER_TILE)
    assert list(block.grids) == GRIDS
    assert tokenizer.convert_ids_to_tokens([*block.before, block.placeholder_id, *block.after]) == ["<img>", "<IMG_CONTEXT>", "</img>"]
    assert block.text_prefix == " "
    assert tried.bundle.max_seq_len == LIMIT


def test_the_digest_covers_the_vision_graph(tried: Tried) -> None:
    folder, files = tried.bundle.folder, tried.bundle.manifest["files"]
    assert set(files) == {"model.onnx", "vision.onnx", "tokenizer.json"}
    assert files["vision.onnx"] == file_digest(folder / "vision.onnx")
    assert "text, an image, or both" in (folder / "README.md").read_text()


def test_the_graphs_keep_the_contract(tried: Tried) -> None:
    def shapes(name: str) -> dict[str, tuple[int, list[str | int]]]:
        drawn = onnx.load(str(tried.bundle.folder / name)).graph
        kinds = {value.name: value.type.tensor_type for value in (*drawn.input, *drawn.output)}
        return {name: (kind.elem_type, [axis.dim_param or axis.dim_value for axis in kind.shape.dim]) for name, kind in kinds.items()}

    types = onnx.TensorProto
    assert shapes("model.onnx") == {
        "input_ids": (types.INT64, ["batch", "sequence"]),
        "attention_mask": (types.INT64, ["batch", "sequence"]),
        "image_features": (types.FLOAT, ["features", 64]),
        "image_positions": (types.INT64, ["features"]),
        "logits": (types.FLOAT, ["batch"]),
    }
    assert shapes("vision.onnx") == {
        "tiles": (types.UINT8, ["tiles", 3, TILE, TILE]),
        "features": (types.FLOAT, ["tiles", TOKENS_PER_TILE, 64]),
    }


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_the_last_norm_and_the_head_are_fp32_in_every_precision(precision: str, kind: torch.dtype, exports: Exports) -> None:
    checkpoint = lowered(families.load(exports.vl_checkpoint()), precision)
    assert checkpoint.images
    kinds = {name: parameter.dtype for name, parameter in checkpoint.module.named_parameters()}
    assert {name for name, own in kinds.items() if own == torch.float32} == {"norm.weight", "score.weight"}
    assert set(kinds.values()) == {torch.float32, kind}
    assert {parameter.dtype for parameter in checkpoint.images.module.parameters()} == {kind}


def test_weights_too_large_for_a_graph_stand_beside_it(exports: Exports, tmp_path: Path, tried: Tried) -> None:
    images = families.load(exports.vl_checkpoint()).images
    assert images
    graph.write_vision(images, tmp_path / "vision.onnx", largest_file=1)
    assert {path.name for path in tmp_path.iterdir()} == {"vision.onnx", "vision.onnx.data"}
    run, _ = runtimes.load(tmp_path / "vision.onnx", "fp32")
    tiles = tried.oracle.tiles(image_of(5))
    np.testing.assert_allclose(run({"tiles": tiles}), tried.oracle.features(tiles), rtol=0, atol=TOLERANCE)


@pytest.mark.long
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_pass_their_gate(
    precision: str, exports: Exports, tried: Tried, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if precision == "int8":  # made of the fp32 graphs, which need not be drawn again
        monkeypatch.setattr(graph, "write", lambda _, path: shutil.copy(tried.bundle.folder / "model.onnx", path))
        monkeypatch.setattr(graph, "write_vision", lambda _, path: shutil.copy(tried.bundle.folder / "vision.onnx", path))
    options = ["--model", str(exports.vl_checkpoint()), "--out", str(tmp_path / "1"), "--longest", "96", "--precision", precision]
    assert export_model.main(options) == 0
    bundle = read_bundle(tmp_path / "1")
    assert bundle.precisions == (("fp32", "int8") if precision == "int8" else (precision,))
    assert bundle.parity(precision)["max_abs_difference"] > TOLERANCE
    assert bundle.parity(precision)["pairs"] == 64 + 16


@pytest.mark.parametrize("select_layer", [-2, 0, 1, 2])
def test_another_layer_of_the_vision_model_is_read_without_its_last_norm(select_layer: int, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "other")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "select_layer": select_layer}))
    images, oracle = families.load(folder).images, Oracle(folder)
    assert images
    tiles = oracle.tiles(image_of(3))
    with torch.inference_mode():
        found = images.module(torch.from_numpy(tiles))
    np.testing.assert_allclose(found, oracle.features(tiles), rtol=0, atol=TOLERANCE)


def test_the_gate_tries_every_number_of_tiles_alone_and_with_text(tried: Tried) -> None:
    block = tried.bundle.image
    assert block
    trials = image_trials(families.load(tried.oracle.folder).tokenizer, block, LIMIT)
    served = Served(tried.bundle, LIMIT, trials)
    for trial, with_text in zip(trials, (False, True), strict=True):
        rows = served.rows(trial)
        assert {len(row.extra["image_features"]) // TOKENS_PER_TILE if row.extra else 0 for row in rows} == {0, 1, 3, 4, 5, 6, 7}
        assert all(bool(text) == with_text for text, image in zip(trial.passages, trial.images, strict=True) if image)
    assert max(len(row.input_ids) for row in served.rows(trials[1])) == LIMIT
