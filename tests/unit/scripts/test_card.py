"""python -m pytest tests/unit/scripts/test_card.py

A bundle's README.md is that of its own model.
"""

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from facade.reranking.bundle import PairEncoding
from scripts.export.card import card
from scripts.export.manifest import Licence, Manifest, Parity, Source

PARITY = Parity(64, 512, 3.8e-06, 1.3e-06, 1.0, 0, "transformers 5.23.0, fp32")
MANIFEST = Manifest(
    model_id="tests/tiny",
    version="1.2.0",
    family="bert",
    modalities=("text",),
    pair_encoding=PairEncoding((101,), (102,), (102,), segment_ids=True),
    max_seq_len=8192,
    vocabulary_size=30522,
    pad_id=0,
    precision="fp32",
    licence=Licence("MIT", "Written by tests."),
    created="2026-11-30",
    parity=PARITY,
    source=Source("tests/tiny-on-the-hub", "0123456789abcdef"),
    files={},
)


@pytest.mark.parametrize(
    "fact",
    [
        "# tests/tiny\n",
        "| version | 1.2.0, exported 2026-11-30 |",
        "| source | https://huggingface.co/tests/tiny-on-the-hub, commit 0123456789abcdef |",
        "| licence | MIT |",
        "| family | bert |",
        "| limit | 8,192 tokens a pair |",
        "| precision | fp32 |",
        "Written by tests.",
        "| fp32 | transformers 5.23.0, fp32 | 64 of up to 512 tokens | 3.8e-06 | 1.3e-06 | 100.00% |",
    ],
)
def test_the_card_says_what_the_manifest_says(fact: str) -> None:
    assert fact in card(MANIFEST)


def test_both_graphs_of_an_int8_bundle_are_measured() -> None:
    text = card(replace(MANIFEST, int8_parity=replace(PARITY, rank_agreement=0.97)))
    assert "| precision | fp32, and int8 |" in text
    assert "| int8 | transformers 5.23.0, fp32 | 64 of up to 512 tokens | 3.8e-06 | 1.3e-06 | 97.00% |" in text


def test_a_folder_is_named_and_is_no_address() -> None:
    text = card(replace(MANIFEST, source=Source("checkpoint", None)))
    assert "| source | the folder checkpoint |" in text
    assert "huggingface.co" not in text


def test_a_licence_can_not_break_the_table() -> None:
    assert "| licence | MIT \\| GPL |" in card(replace(MANIFEST, licence=Licence("MIT |\nGPL", "")))


def test_an_activation_is_named_and_the_score_stays_a_logit() -> None:
    stated = replace(MANIFEST, activation="torch.nn.modules.activation.Sigmoid")
    assert "| score | the raw logit; sentence-transformers applies torch.nn.modules.activation.Sigmoid to it by default |" in card(stated)
    assert '"activation": "torch.nn.modules.activation.Sigmoid"' in stated.to_json()
    assert "sentence-transformers" not in card(MANIFEST)
    assert "activation" not in MANIFEST.to_json()
