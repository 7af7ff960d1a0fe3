"""python -m pytest tests/unit/reranker/test_image_engines.py

Engines that take images: features stand in the places of placeholders, whatever else is in the batch, and rows of text need none.
"""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from facade.config.settings import Settings
from facade.errors import BundleError
from facade.reranking.bundle import Bundle
from facade.reranking.images import tiles_of
from facade.reranking.tensors import IMAGE_FEATURES, Row
from reranker.engines import load_engine
from reranker.engines.engine import Engine
from reranker.engines.machine import Machine
from tests.unit.reranker.seeing import BLOCK, LIMITS, PER_TILE, WIDTH, png, seen_row, text_row, tiles_in
from tests.unit.reranker.tiny_vision import TinyModel, tiny_bundle

FILES = [png(200), png(60, 8, 16), png(130, 16, 16)]
HERE = Machine(None, 2)
ENGINES = [("openvino", "fp32"), ("onnxruntime", "fp32")]


@pytest.fixture(scope="module")
def tiny(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(bundle, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module", params=ENGINES, ids=" ".join)
def engine(request: pytest.FixtureRequest, tiny: Bundle) -> Engine:
    name, precision = request.param
    return load_engine(tiny, Settings(engine=name, precision=precision), HERE)[0]


def with_features(engine: Engine, row: Row, content: bytes) -> Row:
    assert engine.vision is not None
    tiles = tiles_of(content, BLOCK, LIMITS)
    features = np.concatenate([engine.vision.features(tile[None]) for tile in tiles]).reshape(-1, WIDTH)
    return replace(row, extra={IMAGE_FEATURES: features})


def test_each_row_gets_the_logit_of_its_own_image_in_any_company(engine: Engine) -> None:
    asked = [(seen_row(content, tiles_in(content), *range(2, 5 + index)), content) for index, content in enumerate(FILES)]
    rows = [with_features(engine, row, content) for row, content in asked] + [text_row(5, 6, 7), text_row(8)]
    expected = [TinyModel.random().logit(row, content) for row, content in [*asked, (rows[3], None), (rows[4], None)]]
    assert engine.infer(rows) == pytest.approx(expected, abs=1e-5)
    assert engine.infer(rows[::-1])[::-1].tolist() == engine.infer(rows).tolist()
    alone = [float(engine.infer([row])[0]) for row in rows]
    assert alone == pytest.approx(expected, abs=1e-5)


def test_a_batch_of_text_alone_has_no_feature(engine: Engine) -> None:
    rows = [text_row(5, 6, 7), text_row(8, 9)]
    assert engine.infer(rows) == pytest.approx([TinyModel.random().logit(row, None) for row in rows], abs=1e-5)


def test_what_a_tile_shows_does_not_depend_on_other_tiles(engine: Engine) -> None:
    assert engine.vision is not None
    tiles = np.concatenate([tiles_of(content, BLOCK, LIMITS) for content in FILES])
    assert engine.vision.features(tiles).shape == (len(tiles), PER_TILE, WIDTH)
    assert engine.vision.features(tiles).reshape(-1, WIDTH) == pytest.approx(TinyModel.random().features(tiles), abs=1e-4)


def test_a_row_without_its_features_is_not_scored(engine: Engine) -> None:
    row = seen_row(FILES[0], 1, 5)
    with pytest.raises(ValueError, match="0 features for the placeholders of a row with 8 tokens"):
        engine.infer([replace(row, extra={})])


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_bundle_whose_vision_makes_another_number_of_features_is_refused(tiny: Bundle, name: str) -> None:
    wrong = replace(tiny, image=replace(BLOCK, tokens_per_tile=PER_TILE + 1))
    with pytest.raises(BundleError, match=r"the features of a tile are \[1, 4, 6\], expected \[1, 5, ...\]"):
        load_engine(wrong, Settings(engine=name, precision="fp32"), HERE)


@pytest.mark.parametrize("change", [lambda bundle: replace(bundle, image=None)])
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_graph_that_takes_images_needs_a_manifest_that_says_so(tiny: Bundle, name: str, change: Callable[[Any], Any]) -> None:
    with pytest.raises(BundleError, match="takes image and its manifest has none"):
        load_engine(change(tiny), Settings(engine=name, precision="fp32"), HERE)


def test_tensorrt_refuses_it(tiny: Bundle) -> None:
    from reranker.engines.onnxruntime import tensorrt_refusal  # noqa: PLC0415

    here = Machine(0, 1, {"onnxruntime": SimpleNamespace()}.get)
    assert "TensorRT is built for text alone" in str(tensorrt_refusal(tiny, "fp32", here))
