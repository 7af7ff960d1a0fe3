"""Images for the tests of vision: tiny files, rows that hold them, a tiny bundle with graphs written by hand, and what it should answer."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from facade.reranking.bundle import Bundle
from facade.reranking.image_block import ImageBlock
from facade.reranking.images import ImageLimits, tiles_of
from facade.reranking.tensors import DIGEST_MARK, IMAGE, Row
from reranker.engines.engine import Features, Tiles

LIMITS = ImageLimits(1 << 20, 1 << 20)
SIZE, PER_TILE, WIDTH, VOCABULARY, PLACEHOLDER = 8, 4, 6, 40, 39
BLOCK = ImageBlock(
    tile_size=SIZE,
    most_tiles=4,
    thumbnail=True,
    grids=((1, 1), (1, 2), (2, 1), (2, 2)),
    tokens_per_tile=PER_TILE,
    before=(37,),
    after=(38,),
    placeholder_id=PLACEHOLDER,
    text_prefix=" ",
)
WAIT_S = 60.0

Node = tuple[str, list[str], str, dict[str, Any]]  # operation, inputs, output, attributes
Inputs = dict[str, tuple[int, Sequence[str | int]]]  # types and shapes


def png(shade: int, width: int = SIZE, height: int = SIZE) -> bytes:
    """A file of one shade; 8 x 8 is one tile, 8 x 16 three, 16 x 16 five."""
    written = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), shade, np.uint8)).save(written, "PNG")
    return written.getvalue()


def tiles_in(content: bytes) -> int:
    return len(tiles_of(content, BLOCK, LIMITS))


def digest_of(content: bytes) -> bytes:
    """What stands for a file."""
    return DIGEST_MARK + hashlib.sha256(content).digest()


def seen_row(content: bytes, tiles: int, *ids: int) -> Row:
    """A row of an image and some ids behind it; `content`: the file, or what stands for it."""
    all_ids = [1, *BLOCK.before, *[PLACEHOLDER] * (tiles * PER_TILE), *BLOCK.after, *ids]
    extra = {IMAGE: np.array([content], np.object_)}
    return Row(np.array(all_ids, np.int64), np.zeros(len(all_ids), np.int64), extra)


def text_row(*ids: int) -> Row:
    return Row(np.array(ids, np.int64), np.zeros(len(ids), np.int64))


@dataclass
class Shades:
    """Vision whose features are a tile's mean shade, in all places. A pass with `poison` in it fails, and so does one of more than `memory`
    tiles. While `free` is not set, passes wait.
    """

    tile_budget: int = 1
    poison: int | None = None
    memory: int = 1 << 30
    passes: list[list[float]] = field(default_factory=list)
    free: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.free.set()

    def features(self, tiles: Tiles) -> Features:
        shades = tiles.mean(axis=(1, 2, 3))
        self.passes.append([float(shade) for shade in shades])
        self.free.wait(WAIT_S)
        if self.poison in shades or len(tiles) > self.memory:
            raise RuntimeError("poison")
        return np.broadcast_to(shades[:, None, None], (len(tiles), PER_TILE, WIDTH)).astype(np.float32)


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
