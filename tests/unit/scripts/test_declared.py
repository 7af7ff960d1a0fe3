"""python -m pytest tests/unit/scripts/test_declared.py

What sentence-transformers says of its activation is reported, and never applied.
"""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from scripts.export import families  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402
from tests.oddities.changes import both, config  # noqa: E402
from tests.oddities.sentence_transformers_files import cross_encoder  # noqa: E402

SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        (config(), None),
        (config(sentence_transformers={"activation_fn": SIGMOID, "version": "4.1.0"}), SIGMOID),
        (config(sbert_ce_default_activation_function=IDENTITY), IDENTITY),
        (cross_encoder(texts_alone=True, activation_fn=SIGMOID), SIGMOID),
        (both(config(sentence_transformers={"activation_fn": SIGMOID}), cross_encoder(activation_fn=IDENTITY)), IDENTITY),
    ],
    ids=["none", "version 4", "before version 4", "version 5.4", "the newer file before the older"],
)
def test_the_activation_is_the_one_that_is_stated(change: Any, stated: str | None, tmp_path: Path) -> None:
    folder = tiny_checkpoints.save("bert", tmp_path / "tiny")
    change(folder)
    assert families.load(folder).activation == stated


def test_a_sigmoid_that_is_stated_changes_no_logit(tmp_path: Path) -> None:
    folder = tiny_checkpoints.save("bert", tmp_path / "tiny")
    plain = families.load(folder)
    config(sentence_transformers={"activation_fn": SIGMOID})(folder)
    stated = families.load(folder)
    pair = plain.encode("which way?", "this one")
    assert stated.reference(pair) == plain.reference(pair)
