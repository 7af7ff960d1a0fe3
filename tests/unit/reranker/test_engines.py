"""python -m pytest tests/unit/reranker/test_engines.py

Both engines on the default bundle's weights: they agree, a pair's logit doesn't depend on its company, and settings that can't be used are
refused in words.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from facade.config.settings import Settings
from facade.errors import BundleError, SettingsError
from facade.reranking.bundle import WEIGHTS, Bundle, read_bundle
from facade.reranking.chunks import pair_rows
from facade.reranking.pairs import PairTokenizer
from facade.reranking.tensors import Logits, Row
from reranker.engines import load_engine
from reranker.engines.engine import Engine
from reranker.engines.machine import Machine
from reranker.engines.openvino.engine import OpenVinoEngine
from tests.unit.conftest import MakeBundle

Loaded = Callable[[str, str], Engine]
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
def loaded(bundle: Bundle) -> Loaded:
    """The default bundle's weights in the engine of a name and a precision, in one thread; each is loaded once, which takes a second."""
    return cache(lambda name, precision: load_engine(bundle, Settings(engine=name, precision=precision, threads=1))[0])


@pytest.fixture(scope="module")
def engines(loaded: Loaded) -> dict[str, Engine]:
    """The default bundle's weights in each engine, exactly."""
    return {name: loaded(name, "fp32") for name in NAMES}


@pytest.fixture(scope="module", params=NAMES)
def engine(engines: dict[str, Engine], request: pytest.FixtureRequest) -> Engine:
    """Each of them in turn."""
    return engines[request.param]


@pytest.fixture(scope="module")
def rows(bundle: Bundle) -> list[Row]:
    """One row per passage."""
    pairs = PairTokenizer(bundle, 256).encode(QUERY, PASSAGES, truncate=True)
    return pair_rows(pairs, range(len(pairs.rows)))


def test_an_engine_gives_one_finite_logit_per_row(engine: Engine, rows: list[Row], bundle: Bundle) -> None:
    logits = engine.infer(rows)
    assert logits.shape == (len(PASSAGES),)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert np.unique(logits).size == len(PASSAGES)


def test_the_engines_agree(engines: dict[str, Engine], rows: list[Row], bundle: Bundle) -> None:
    first, second = (engines[name].infer(rows) for name in NAMES)
    np.testing.assert_allclose(first, second, rtol=0, atol=TOLERANCE)


def test_a_logit_does_not_depend_on_its_company(engine: Engine, rows: list[Row], bundle: Bundle) -> None:
    alone = np.concatenate([engine.infer([row]) for row in rows])
    for company in ([0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [1, 5], [2, 2, 3, 0]):
        together = engine.infer([rows[index] for index in company])
        np.testing.assert_allclose(together, alone[company], rtol=0, atol=TOLERANCE)


def test_an_earlier_answer_is_not_overwritten_by_the_next_call(engine: Engine, rows: list[Row], bundle: Bundle) -> None:
    first = engine.infer(rows[:2])
    kept = first.copy()
    engine.infer(rows[2:4])
    assert first.tolist() == kept.tolist()


def test_the_segments_matter_to_the_model(engine: Engine, rows: list[Row]) -> None:
    without = replace(rows[2], token_type_ids=np.zeros_like(rows[2].token_type_ids))
    assert engine.infer([rows[2]]).tolist() != engine.infer([without]).tolist()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_openvino_pads_to_whole_vectors_and_so_gives_the_same_bits_in_any_company(loaded: Loaded, rows: list[Row], precision: str) -> None:
    engine = loaded("openvino", precision)
    alone = np.concatenate([engine.infer([row]) for row in rows])
    assert np.ptp(alone) > 1
    assert engine.infer(rows).tolist() == alone.tolist()
    assert engine.infer(rows[::-1]).tolist() == alone[::-1].tolist()


def test_openvino_computes_no_more_than_fills_a_vector_and_onnxruntime_what_rows_are_padded_to(engines: dict[str, Engine]) -> None:
    lengths = [3, 10, 20]
    assert engines["openvino"].computed_tokens(lengths) == 48
    assert engines["onnxruntime"].computed_tokens(lengths) == 60


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_logits_are_finer_than_bf16(loaded: Loaded, rows: list[Row], precision: str) -> None:
    """Else passages that differ by less than 1/32 would tie."""
    assert (loaded("openvino", precision).infer(rows).view(np.uint32) & 0xFFFF).any()


def test_streams_compute_side_by_side_what_one_computes_alone(bundle: Bundle, rows: list[Row]) -> None:
    engine, _ = load_engine(bundle, Settings(engine="openvino", threads=2))
    assert engine.streams == 2
    alone = [engine.infer([row]).tolist() for row in rows]
    with ThreadPoolExecutor(2) as threads:
        assert [logits.tolist() for logits in threads.map(engine.infer, ([row] for row in rows * 5))] == alone * 5


def test_openvino_s_first_inference_is_over_before_two_threads_can_ask_for_theirs(bundle: Bundle) -> None:
    class Recorded(OpenVinoEngine):
        asked = 0

        def infer(self, rows: Sequence[Row]) -> Logits:
            self.asked += 1
            return super().infer(rows)

    assert Recorded(bundle, "fp32", 2).asked == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_is_chosen_by_name_and_says_so(bundle: Bundle, name: str) -> None:
    settings = Settings.from_environment({"RERANKER_ENGINE": name.upper(), "RERANKER_THREADS": "1"})
    engine, reason = load_engine(bundle, settings)
    fastest = {"openvino": "int8", "onnxruntime": "fp32"}[name]
    assert (engine.name, engine.precision, reason) == (name, fastest, f"RERANKER_ENGINE={name}")


UNSET = {"RERANKER_ENGINE": "", "RERANKER_PRECISION": "", "RERANKER_THREADS": ""}


@pytest.mark.parametrize("environment", [{}, {"RERANKER_ENGINE": "auto", "RERANKER_PRECISION": "auto"}, UNSET])
def test_an_empty_variable_counts_as_unset(environment: dict[str, str]) -> None:
    assert Settings.from_environment(environment) == Settings()


def test_by_default_the_machine_decides(bundle: Bundle) -> None:
    engine, reason = load_engine(bundle, Settings())
    if Machine.here().gpu is not None:
        pytest.skip("which engine a GPU gets is decided by test_registry")
    assert (engine.name, engine.precision) == ("openvino", "int8")
    assert reason == "no GPU is here, and OpenVINO is the fastest engine on a CPU"


def test_without_an_int8_graph_the_default_is_as_exact_as_the_reference(make_bundle: MakeBundle, bundle: Bundle) -> None:
    folder = make_bundle()
    (folder / WEIGHTS).write_bytes((bundle.folder / WEIGHTS).read_bytes())
    plain = read_bundle(folder)
    assert load_engine(plain, Settings(engine="openvino", threads=1))[0].precision == "fp32"
    with pytest.raises(BundleError, match="has no int8 graph: export it with PRECISION=int8"):
        load_engine(plain, Settings(engine="openvino", precision="int8", threads=1))


def test_bf16_is_near_fp32(loaded: Loaded, engines: dict[str, Engine], rows: list[Row]) -> None:
    half = loaded("openvino", Settings.from_environment({"RERANKER_PRECISION": "BF16"}).precision)
    assert half.precision == "bf16"
    np.testing.assert_allclose(half.infer(rows[1:4]), engines["openvino"].infer(rows[1:4]), rtol=0.1, atol=0.3)


def test_int8_is_near_fp32(loaded: Loaded, engines: dict[str, Engine], rows: list[Row]) -> None:
    np.testing.assert_allclose(loaded("openvino", "int8").infer(rows), engines["openvino"].infer(rows), rtol=0, atol=0.6)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RERANKER_ENGINE": "tensorflow"}, "RERANKER_ENGINE=tensorflow: expected one of auto, openvino, onnxruntime"),
        ({"RERANKER_PRECISION": "int4"}, "RERANKER_PRECISION=int4: expected one of auto, fp32, bf16, fp16, int8"),
        (
            {"RERANKER_ENGINE": "onnxruntime", "RERANKER_PRECISION": "bf16"},
            "RERANKER_ENGINE=onnxruntime: it computes in fp32, as the graph says, not in bf16: set RERANKER_PRECISION=auto",
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


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_that_is_none_is_a_bundles_fault(bundle: Bundle, tmp_path: Path, name: str) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"kestrel" * 100)
    with pytest.raises(BundleError, match=r"the graph in .* can't be used .*make export-model"):
        load_engine(replace(bundle, folder=tmp_path), Settings(engine=name, precision="fp32", threads=1))


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_of_another_family_is_refused_before_it_is_served(bundle: Bundle, name: str) -> None:
    """The default graph takes segment ids, which a bundle without them would not give it."""
    other = replace(bundle, pair_encoding=replace(bundle.pair_encoding, segment_ids=False))
    with pytest.raises(BundleError, match=r"the graph in .* takes token_type_ids and its manifest has none"):
        load_engine(other, Settings(engine=name, precision="fp32", threads=1))


def test_a_graph_that_fails_at_its_first_rows_is_refused_before_it_is_served(bundle: Bundle) -> None:
    """Read without an error: its table of embeddings is smaller than the manifest's vocabulary."""
    other = replace(bundle, vocabulary_size=bundle.vocabulary_size + 1)
    with pytest.raises(BundleError, match=r"the graph in .* can't be used .*out of data bounds"):
        load_engine(other, Settings(engine="onnxruntime", precision="fp32", threads=1))
