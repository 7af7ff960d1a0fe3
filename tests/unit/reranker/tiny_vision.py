"""A tiny bundle that takes images, its graphs written by hand, and what it should answer. Needs onnx."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from facade.reranking.bundle import Bundle
from facade.reranking.images import tiles_of
from facade.reranking.tensors import Row
from reranker.engines.engine import Features, Tiles
from tests.unit.reranker.seeing import BLOCK, LIMITS, PER_TILE, PLACEHOLDER, SIZE, VOCABULARY, WIDTH

Node = tuple[str, list[str], str, dict[str, Any]]  # operation, inputs, output, attributes
Inputs = dict[str, tuple[int, Sequence[str | int]]]  # types and shapes


@dataclass(frozen=True)
class TinyModel:
    """Weights of a model that is drawn in ONNX and computed in NumPy: features and embeddings, a layer that mixes a row, a head."""

    see: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    mix: NDArray[np.float32]
    score: NDArray[np.float32]

    @classmethod
    def random(cls) -> "TinyModel":
        drawn = np.random.default_rng(7)
        shapes = ((3 * SIZE * SIZE, PER_TILE * WIDTH), (VOCABULARY, WIDTH), (WIDTH, WIDTH), (WIDTH, 1))
        return cls(*(drawn.normal(0, 0.3, shape).astype(np.float32) for shape in shapes))

    def features(self, tiles: Tiles) -> Features:
        flat = tiles.reshape(len(tiles), -1).astype(np.float32) / np.float32(255)
        made: Features = (flat @ self.see).reshape(-1, WIDTH)
        return made

    def logit(self, row: Row, content: bytes | None) -> float:
        """What a row with the image in that file should get."""
        states = self.embeddings[row.input_ids]
        if content:
            states[row.input_ids == PLACEHOLDER] = self.features(tiles_of(content, BLOCK, LIMITS))
        return float((np.tanh(states @ self.mix).mean(axis=0) @ self.score)[0])

    def write(self, folder: Path) -> None:
        """The graphs of a bundle."""
        vision: list[Node] = [
            ("Cast", ["tiles"], "numbers", {"to": TensorProto.FLOAT}),
            ("Div", ["numbers", "white"], "light", {}),
            ("Flatten", ["light"], "flat", {}),
            ("MatMul", ["flat", "see"], "seen", {}),
            ("Reshape", ["seen", "shape"], "features", {}),
        ]
        kept = {"white": np.float32(255), "see": self.see, "shape": np.array([-1, PER_TILE, WIDTH])}
        _save(
            folder / "vision.onnx", vision, kept, {"tiles": (TensorProto.UINT8, ["t", 3, SIZE, SIZE])}, ("features", ["t", PER_TILE, WIDTH])
        )
        language: list[Node] = [
            ("Gather", ["embeddings", "input_ids"], "embedded", {}),
            ("Shape", ["embedded"], "shape", {}),
            ("Reshape", ["embedded", "flat"], "rows", {}),
            ("Unsqueeze", ["image_positions", "last"], "places", {}),
            ("ScatterND", ["rows", "places", "image_features"], "placed", {}),
            ("Reshape", ["placed", "shape"], "states", {}),
            ("MatMul", ["states", "mix"], "mixed", {}),
            ("Tanh", ["mixed"], "bent", {}),
            ("Cast", ["attention_mask"], "mask", {"to": TensorProto.FLOAT}),
            ("Unsqueeze", ["mask", "last"], "column", {}),
            ("Mul", ["bent", "column"], "masked", {}),
            ("ReduceSum", ["masked", "tokens"], "sum", {"keepdims": 0}),
            ("ReduceSum", ["column", "tokens"], "count", {"keepdims": 0}),
            ("Div", ["sum", "count"], "pooled", {}),
            ("MatMul", ["pooled", "score"], "logit", {}),
            ("Squeeze", ["logit", "tokens"], "logits", {}),
        ]
        kept = {
            "embeddings": self.embeddings,
            "mix": self.mix,
            "score": self.score,
            "flat": np.array([-1, WIDTH]),
            "last": np.array([-1]),
            "tokens": np.array([1]),
        }
        inputs: Inputs = {name: (TensorProto.INT64, ["rows", "tokens"]) for name in ("input_ids", "attention_mask")}
        images: Inputs = {
            "image_features": (TensorProto.FLOAT, ["k", WIDTH]),
            "image_positions": (TensorProto.INT64, ["k"]),
        }
        _save(folder / "model.onnx", language, kept, inputs | images, ("logits", ["rows"]))


def tiny_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """The tiny model's bundle in `folder`, its manifest never written."""
    TinyModel.random().write(folder)
    (folder / "reranker.json").write_text(json.dumps({}))
    return replace(
        bundle,
        folder=folder,
        max_seq_len=64,
        vocabulary_size=VOCABULARY,
        pad_id=0,
        pair_encoding=replace(bundle.pair_encoding, segment_ids=False),
        manifest={**bundle.manifest, "family": "tiny", "precision": "fp32", "files": {"model.onnx": "", "vision.onnx": ""}},
        image=BLOCK,
    )


def _save(
    path: Path,
    nodes: Sequence[Node],
    kept: Mapping[str, Any],
    inputs: Inputs,
    output: tuple[str, Sequence[str | int]],
) -> None:
    graph = helper.make_graph(
        [helper.make_node(kind, sources, [made], **options) for kind, sources, made, options in nodes],
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in kept.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
