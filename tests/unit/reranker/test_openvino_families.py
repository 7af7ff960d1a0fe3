"""python -m pytest tests/unit/reranker/test_openvino_families.py

Every encoder with a pass of its own is computed on packed rows, scores as the reference does, and alike in every company."""

from pathlib import Path

import numpy as np
import pytest

from facade.reranking.bundle import Bundle

pytest.importorskip("torch")
pytest.importorskip("transformers")

from reranker.engines.openvino.engine import OpenVinoEngine
from scripts.export import families, graph
from scripts.export.checkpoint import Encoded
from scripts.export.passes.own import OwnPass
from tests import tiny_checkpoints
from tests.unit.reranker.packed_rows import bundle_of, random_rows

LENGTHS = [3, 40, 17, 90, 1, 64, 33]


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "roberta", "electra", "distilbert", "modernbert"])
def test_tokens_are_packed_and_a_logit_is_the_reference_s_in_every_company(family: str, bundle: Bundle, tmp_path: Path) -> None:
    checkpoint = families.load(tiny_checkpoints.save(family, tmp_path / "checkpoint"))
    assert isinstance(checkpoint.module, OwnPass)
    graph.write(checkpoint, tmp_path / "model.onnx")
    own = bundle_of(bundle, tmp_path, checkpoint, None)
    own = Bundle(**{**own.__dict__, "pair_encoding": checkpoint.pair_encoding, "manifest": {**own.manifest, "files": {"model.onnx": ""}}})
    engine = OpenVinoEngine(own, "fp32", threads=1)
    rows = random_rows(LENGTHS, checkpoint.vocabulary_size)
    assert engine.computed_tokens(LENGTHS) < len(LENGTHS) * max(LENGTHS)  # packed
    alone = np.concatenate([engine.infer([row]) for row in rows])
    expected = [checkpoint.reference(Encoded(row.input_ids.tolist(), row.token_type_ids.tolist())) for row in rows]
    np.testing.assert_allclose(alone, expected, rtol=0, atol=1e-4)
    assert engine.infer(rows).tolist() == alone.tolist()
    assert engine.infer(rows[::-1]).tolist() == alone[::-1].tolist()
