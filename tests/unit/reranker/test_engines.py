"""python -m pytest tests/unit/reranker/test_engines.py

Both engines on the default bundle's weights: they agree, a pair's logit doesn't depend on its company, and settings that can't be used are
refused in words.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from engines import Engine, load_engine

from facade.bundle import Bundle
from facade.errors import SettingsError
from facade.pairs import PairTokenizer
from facade.settings import Settings
from facade.tensors import INPUT_IDS, TOKEN_TYPE_IDS, Row, pack

TOLERANCE = 1e-4
NAMES = ("openvino", "onnxruntime")
QUERY = "which way should i go?"
PASSAGES = [
    "",
    "left",
    "two roads diverged in a yellow wood, and sorry i could not travel both",
    "the mitochondrion is the powerhouse of the cell. " * 8,
    "\u673a\u5668\u5b66\u4e60 \U0001f9ed " * 20,
    "i took the one less traveled by, and that has made all the difference. " * 40,  # over the limit
]


@pytest.fixture(scope="module")
def engines(bundle: Bundle) -> dict[str, Engine]:
    """The default bundle's weights in each engine."""
    return {name: load_engine(bundle, Settings(engine=name, threads=1))[0] for name in NAMES}


@pytest.fixture(scope="module", params=NAMES)
def engine(engines: dict[str, Engine], request: pytest.FixtureRequest) -> Engine:
    """Each of them in turn."""
    return engines[request.param]


@pytest.fixture(scope="module")
def rows(bundle: Bundle) -> list[Row]:
    """One row per passage."""
    pairs = PairTokenizer(bundle, 256).encode(QUERY, PASSAGES, truncate=True)
    segments = [[0] * pairs.query_length + [1] * (length - pairs.query_length) for length in pairs.lengths()]
    return [Row(np.array(ids, np.int64), np.array(kinds, np.int64)) for ids, kinds in zip(pairs.rows, segments, strict=True)]


def test_an_engine_gives_one_finite_logit_per_row(engine: Engine, rows: list[Row], bundle: Bundle) -> None:
    logits = engine.infer(pack(rows, bundle))
    assert logits.shape == (len(PASSAGES),)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert np.unique(logits).size == len(PASSAGES)


def test_the_engines_agree(engines: dict[str, Engine], rows: list[Row], bundle: Bundle) -> None:
    first, second = (engines[name].infer(pack(rows, bundle)) for name in NAMES)
    np.testing.assert_allclose(first, second, rtol=0, atol=TOLERANCE)


def test_a_logit_does_not_depend_on_its_company(engine: Engine, rows: list[Row], bundle: Bundle) -> None:
    alone = np.concatenate([engine.infer(pack([row], bundle)) for row in rows])
    for company in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [1, 5], [2, 2, 3, 0]):
        together = engine.infer(pack([rows[index] for index in company], bundle))
        np.testing.assert_allclose(together, alone[company], rtol=0, atol=TOLERANCE)


def test_an_earlier_answer_is_not_overwritten_by_the_next_call(engine: Engine, rows: list[Row], bundle: Bundle) -> None:
    first = engine.infer(pack(rows[:2], bundle))
    kept = first.copy()
    engine.infer(pack(rows[2:4], bundle))
    assert first.tolist() == kept.tolist()


def test_the_segments_matter_to_the_model(engine: Engine, rows: list[Row], bundle: Bundle) -> None:
    inputs = pack(rows[2:3], bundle)
    without = {**inputs, TOKEN_TYPE_IDS: np.zeros_like(inputs[TOKEN_TYPE_IDS])}
    assert engine.infer(inputs).tolist() != engine.infer(without).tolist()


def test_inputs_that_the_graph_does_not_have_are_left_out(engine: Engine, rows: list[Row], bundle: Bundle) -> None:
    inputs = pack(rows[:2], bundle)
    assert engine.infer({**inputs, "position_ids": inputs[INPUT_IDS]}).tolist() == engine.infer(inputs).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_is_chosen_by_name_and_says_so(bundle: Bundle, name: str) -> None:
    settings = Settings.from_environment({"RERANKER_ENGINE": name.upper(), "RERANKER_THREADS": "1"})
    engine, reason = load_engine(bundle, settings)
    assert (engine.name, engine.precision, reason) == (name, "fp32", f"RERANKER_ENGINE={name}")


UNSET = {"RERANKER_ENGINE": "", "RERANKER_PRECISION": "", "RERANKER_THREADS": ""}


@pytest.mark.parametrize("environment", [{}, {"RERANKER_ENGINE": "auto"}, UNSET])
def test_by_default_the_machine_decides_and_an_empty_variable_counts_as_unset(bundle: Bundle, environment: dict[str, str]) -> None:
    engine, reason = load_engine(bundle, Settings.from_environment(environment))
    gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    assert engine.name == ("onnxruntime" if gpu else "openvino")
    assert engine.precision == "fp32"
    assert "GPU build of ONNX Runtime is installed" in reason


def test_bf16_is_near_fp32(engines: dict[str, Engine], rows: list[Row], bundle: Bundle) -> None:
    environment = {"RERANKER_ENGINE": "openvino", "RERANKER_PRECISION": "BF16", "RERANKER_THREADS": "1"}
    half, _ = load_engine(bundle, Settings.from_environment(environment))
    assert half.precision == "bf16"
    inputs = pack(rows[1:4], bundle)
    np.testing.assert_allclose(half.infer(inputs), engines["openvino"].infer(inputs), rtol=0.1, atol=0.3)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RERANKER_ENGINE": "tensorflow"}, "RERANKER_ENGINE=tensorflow: expected one of auto, openvino, onnxruntime"),
        ({"RERANKER_PRECISION": "int8"}, "RERANKER_PRECISION=int8: expected one of fp32, bf16"),
        (
            {"RERANKER_ENGINE": "onnxruntime", "RERANKER_PRECISION": "bf16"},
            "RERANKER_PRECISION=bf16: the onnxruntime engine computes in fp32",
        ),
        ({"RERANKER_THREADS": "many"}, "RERANKER_THREADS"),
        ({"RERANKER_THREADS": "1.5"}, "RERANKER_THREADS"),
        ({"RERANKER_THREADS": "0"}, "RERANKER_THREADS"),
        ({"RERANKER_ENGINE": "openvino", "RERANKER_THREADS": "-1"}, "RERANKER_THREADS"),
        ({"RERANKER_ENGINE": "onnxruntime", "RERANKER_THREADS": "-1"}, "RERANKER_THREADS"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(bundle: Bundle, environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_engine(bundle, Settings.from_environment(environment))
    assert refused.value.message.startswith(message)


def test_a_wrong_setting_is_found_before_any_weights_are_read(bundle: Bundle) -> None:
    with pytest.raises(SettingsError):
        load_engine(replace(bundle, folder=Path("nowhere")), Settings(engine="onnxruntime", precision="bf16"))
