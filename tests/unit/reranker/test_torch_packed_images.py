"""python -m pytest tests/unit/reranker/test_torch_packed_images.py

Engines score the tiny vision-language bundle as its oracle does: text, images and both, alone and in company.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from PIL import Image as Pillow  # noqa: E402

from facade.config.settings import Settings  # noqa: E402
from facade.reranking.bundle import Bundle, read_bundle  # noqa: E402
from facade.reranking.chunks import pair_rows  # noqa: E402
from facade.reranking.images import (  # noqa: E402
    ImageLimits,
    read_image,
    tiles_of,
)
from facade.reranking.pairs import PairTokenizer  # noqa: E402
from facade.reranking.tensors import IMAGE, IMAGE_FEATURES, Row  # noqa: E402
from reranker.engines import load_engine  # noqa: E402
from reranker.engines.engine import Engine  # noqa: E402
from reranker.engines.machine import Machine  # noqa: E402
from tests.exported import Exports  # noqa: E402
from tests.vl_oracle import Oracle  # noqa: E402

QUERY = "which way should i go?"
LIMITS = ImageLimits(1 << 20, 1 << 20)
SIZES = [(64, 64), (128, 64), (128, 192), None, (64, 256), None]
PASSAGES = ["", "two roads diverged in a yellow wood", "", "then took the other", "as just as fair", ""]
# The greatest difference: rounding of half-precision numbers grows with the tiny model's large weights.
TOLERANCES = {"fp32": 1e-4, "bf16": 0.5, "fp16": 0.05}


@cache
def png(width: int, height: int) -> bytes:
    written = BytesIO()
    Pillow.fromarray(np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)).save(written, "PNG")
    return written.getvalue()


@pytest.fixture(scope="module")
def vl_bundle(exports: Exports, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return read_bundle(exports.vl_bundle(tmp_path_factory.mktemp("vl") / "bundle"))


@pytest.fixture(scope="module")
def asked(vl_bundle: Bundle) -> list[Row]:
    """Rows with files."""
    assert vl_bundle.image is not None
    images = [read_image(b64encode(png(*size)).decode(), vl_bundle.image, LIMITS) if size else None for size in SIZES]
    pairs = PairTokenizer(vl_bundle, vl_bundle.max_seq_len).encode(QUERY, PASSAGES, truncate=False, images=images)
    return pair_rows(pairs, range(len(PASSAGES)))


@pytest.fixture(scope="module")
def expected(exports: Exports) -> list[float]:
    oracle = Oracle(exports.vl_checkpoint())
    return [oracle.logit(QUERY, passage, png(*size) if size else None) for passage, size in zip(PASSAGES, SIZES, strict=True)]


def with_features(engine: Engine, rows: Sequence[Row], bundle: Bundle) -> list[Row]:
    return [replace(row, extra={IMAGE_FEATURES: features(engine, row.extra[IMAGE][0], bundle)}) if row.extra else row for row in rows]


def features(engine: Engine, content: bytes, bundle: Bundle) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    assert engine.vision is not None
    assert bundle.image is not None
    made = np.concatenate([engine.vision.features(tile[None]) for tile in tiles_of(content, bundle.image, LIMITS)])
    return made.reshape(-1, made.shape[-1])


@pytest.mark.parametrize(
    ("name", "precision"), [("torch", "fp32"), ("torch", "bf16"), ("torch", "fp16"), ("openvino", "fp32"), ("onnxruntime", "fp32")]
)
def test_an_engine_scores_as_the_oracle(name: str, precision: str, vl_bundle: Bundle, asked: list[Row], expected: list[float]) -> None:
    engine = load_engine(vl_bundle, Settings(engine=name, precision=precision), Machine(None, 2))[0]
    rows = with_features(engine, asked, vl_bundle)
    tolerance = TOLERANCES[precision]
    assert engine.infer(rows).tolist() == pytest.approx(expected, abs=tolerance)
    assert engine.infer(rows[::-1]).tolist()[::-1] == pytest.approx(expected, abs=tolerance)
    assert [float(engine.infer([row])[0]) for row in rows] == pytest.approx(expected, abs=tolerance)
    assert engine.vision is not None
    assert engine.computed_tokens([len(row.input_ids) for row in rows]) >= sum(len(row.input_ids) for row in rows)


def test_a_pass_of_several_tiles_gives_each_its_own_features(vl_bundle: Bundle) -> None:
    engine = load_engine(vl_bundle, Settings(engine="torch", precision="fp32"), Machine(None, 2))[0]
    assert engine.vision is not None
    assert vl_bundle.image is not None
    tiles = tiles_of(png(128, 192), vl_bundle.image, LIMITS)
    together = engine.vision.features(tiles)
    assert together == pytest.approx(np.concatenate([engine.vision.features(tile[None]) for tile in tiles]), abs=1e-4)
