"""python -m pytest tests/unit/scripts/test_modular.py

Rerankers of sentence-transformers' modules: the reference that the export is held to is that library's own score. Graphs: test_oddities.py.
"""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sentence_transformers")

from scripts.export import families  # noqa: E402
from tests import tiny_checkpoints  # noqa: E402
from tests.oddities.changes import Change, both, entries, plain  # noqa: E402
from tests.oddities.scores import own_score  # noqa: E402
from tests.oddities.sentence_transformers_files import pooled  # noqa: E402

PASSAGES = ["", "Two roads diverged in a yellow wood.", "as just as fair: " * 40]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_checkpoints.save(tiny_checkpoints.MODULAR, tmp_path / "tiny")


@pytest.mark.parametrize(
    "change",
    [
        plain,
        pooled("mean"),
        pooled("max"),
        both(entries("1_Pooling/config.json", "pooling_mode"), entries("1_Pooling/config.json", pooling_mode_mean_tokens=True)),
        entries("2_Dense/config.json", "activation_function"),
        entries("config_sentence_transformers.json", prompts={"rank": "Rank: "}, default_prompt_name="rank"),
    ],
    ids=["cls", "mean", "max", "a pooling as earlier versions wrote it", "Tanh, where no activation is stated", "a prompt"],
)
def test_the_reference_is_sentence_transformers_own_score(change: Change, folder: Path) -> None:
    change(folder)
    checkpoint = families.load(folder)
    score = own_score(folder, "modernbert", "CrossEncoder")
    for passage in PASSAGES:
        pair = checkpoint.encode("which way should i go?", passage)
        assert checkpoint.reference(pair) == pytest.approx(score("which way should i go?", passage), abs=1e-5)


def test_a_limit_of_sentence_transformers_is_kept(folder: Path) -> None:
    entries("sentence_bert_config.json", max_seq_length=40)(folder)
    assert families.load(folder).max_seq_len == 40


@pytest.mark.parametrize("passages", [["a", "a longer one than that"]])
def test_padding_changes_no_logit(passages: list[str], folder: Path) -> None:
    pooled("mean")(folder)
    checkpoint = families.load(folder)
    pairs = [checkpoint.encode("which way?", passage) for passage in passages]
    longest = max(len(pair.ids) for pair in pairs)
    ids = torch.tensor([pair.ids + [9] * (longest - len(pair.ids)) for pair in pairs])
    mask = torch.tensor([[1] * len(pair.ids) + [0] * (longest - len(pair.ids)) for pair in pairs])
    with torch.inference_mode():
        found = checkpoint.module(ids, mask, *([torch.zeros_like(ids)] if "token_type_ids" in checkpoint.inputs else []))
    assert found.tolist() == pytest.approx([checkpoint.reference(pair) for pair in pairs], abs=1e-5)
