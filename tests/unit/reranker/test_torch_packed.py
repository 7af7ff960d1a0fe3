"""python -m pytest tests/unit/reranker/test_torch_packed.py

The packed torch engine scores as transformers does, in any company and in any shape that a batch is filled up to.
"""

import json
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from facade.reranking.bundle import Bundle  # noqa: E402
from reranker.engines.torch_packed.engine import MOST_RECORDED, PackedEngine, Running, start  # noqa: E402
from reranker.engines.torch_packed.families import FAMILIES  # noqa: E402
from reranker.engines.torch_packed.weights import Weights  # noqa: E402
from scripts.bert.base_model import installed  # noqa: E402
from scripts.bert.rebuilt import rebuild  # noqa: E402
from scripts.export.checkpoint import Checkpoint  # noqa: E402
from tests.unit.reranker.packed_rows import LLAMA_3_2, bundle_of, described, named, random_rows, reference, tiny  # noqa: E402

LENGTHS = (5, 96, 17, 1, 64, 30, 2)
ROTARY = {"rope_theta": 5000.0, "rope_scaling": LLAMA_3_2}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("bert", {}),
    "llama": ("llama_bidirec", {}),
    "llama 3.2": ("llama_bidirec", ROTARY),
    "llama, first token": ("llama_bidirec", {"pooling": "cls"}),
    "mistral, last token": ("mistral_bidirec", {"pooling": "last"}),
}
Case = tuple[Checkpoint, Bundle]


@pytest.fixture(scope="module", params=CASES, ids=list(CASES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Case:
    family, entries = CASES[request.param]
    folder = tmp_path_factory.mktemp("packed")
    checkpoint, entry = tiny(family, folder, **entries)
    assert entry is not None
    return checkpoint, bundle_of(bundle, folder, checkpoint, json.loads(json.dumps(entry)))


def engine_of(case: Case, precision: str = "fp32", *, recorded: bool = False) -> PackedEngine:
    checkpoint, bundle = case
    running = Running(torch.device("cpu"), precision, compiled=False, recorded=recorded)
    weights = Weights(named(checkpoint), running.device, running.type)
    model = FAMILIES[checkpoint.family].build(bundle.manifest["architecture"], weights, bundle.max_seq_len)
    return PackedEngine(model, running, bundle.max_seq_len, bundle.pad_id)


def test_logits_are_the_reference_s(case: Case) -> None:
    checkpoint, bundle = case
    rows = random_rows(LENGTHS, bundle.vocabulary_size)
    expected = reference(checkpoint, rows)
    logits = engine_of(case).infer(rows)
    assert logits.dtype == np.float32
    assert logits.tolist() == pytest.approx(expected, abs=1e-4)
    assert np.std(expected) > 0.05


def test_a_logit_is_the_same_alone_and_in_company(case: Case) -> None:
    rows = random_rows(LENGTHS, case[1].vocabulary_size)
    engine = engine_of(case)
    together = engine.infer(rows)
    assert [engine.infer([row])[0] for row in rows] == pytest.approx(together.tolist(), abs=1e-5)
    assert engine.infer(rows[::-1]).tolist() == pytest.approx(together[::-1].tolist(), abs=1e-5)


def test_filling_a_batch_up_changes_no_logit(case: Case) -> None:
    exact, filled = (engine_of(case, recorded=recorded) for recorded in (False, True))
    for lengths in (LENGTHS, (3,), (64,), (33, 40)):
        rows = random_rows(lengths, case[1].vocabulary_size)
        assert filled.infer(rows).tolist() == pytest.approx(exact.infer(rows).tolist(), abs=1e-5)


def test_low_precision_is_near(case: Case) -> None:
    checkpoint, bundle = case
    rows = random_rows((40, 60, 50), bundle.vocabulary_size)
    engine = engine_of(case, "bf16")
    assert engine.precision == "bf16"
    assert engine.infer(rows).tolist() == pytest.approx(reference(checkpoint, rows), abs=0.3)


def test_warming_up_leaves_a_working_engine(case: Case) -> None:
    checkpoint, bundle = case
    engine = engine_of(case)
    engine.warm_up()
    rows = random_rows(LENGTHS, bundle.vocabulary_size)
    assert engine.infer(rows).tolist() == pytest.approx(reference(checkpoint, rows), abs=1e-4)


@pytest.mark.skipif(not installed(), reason="the base model's package is not installed")
def test_the_default_bundle_scores_as_its_checkpoint_does(bundle: Bundle) -> None:
    model = rebuild(bundle.folder)
    rows = random_rows((12, 140, 33), bundle.vocabulary_size)
    expected = []
    for row in rows:
        tensors = {"input_ids": torch.from_numpy(row.input_ids)[None], "token_type_ids": torch.from_numpy(row.token_type_ids)[None]}
        with torch.inference_mode():
            expected.append(float(model(**tensors).logits[0, 0]))
    assert start(described(bundle), "fp32", 1).infer(rows).tolist() == pytest.approx(expected, abs=1e-4)


def test_a_batch_too_large_to_be_recorded_is_computed_as_it_is(bundle: Bundle) -> None:
    shapes = []

    class Spy:
        def __call__(self, batch: Any) -> Any:
            shapes.append((batch.input_ids.shape[0], batch.bounds.longest))
            return torch.zeros(batch.bounds.places.shape[0] - 1)

        def repeated(self) -> list[Any]:
            return []

    engine = PackedEngine(Spy(), Running(torch.device("cpu"), "fp32", compiled=False, recorded=True), 512, 0)
    assert engine.infer(random_rows([70], 100)).shape == (1,)
    many = MOST_RECORDED // 301 + 1
    engine.infer(random_rows([301] * many, 100))
    assert shapes == [(80, 128), (301 * many, 301)]


def test_an_instance_runs_on_the_gpu_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Running.here("fp32", 3).device == torch.device("cpu") or torch.cuda.is_available()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Running.here("bf16", 3).device == torch.device("cuda", 3)
