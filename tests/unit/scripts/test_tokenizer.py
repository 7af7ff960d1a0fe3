"""python -m pytest tests/unit/scripts/test_tokenizer.py

A tokenizer that does not go with its model is refused before anything is written; one that lacks no more than a padding token is served.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tokenizers import AddedToken, Tokenizer
from transformers import BertForSequenceClassification

from facade.reranking.bundle import read_bundle
from facade.reranking.pairs import PairTokenizer
from facade.reranking.token_ids import unpacked
from scripts import export_model
from scripts.export import families
from scripts.export.checkpoint import ExportError
from scripts.export.tokenizer import check_ids
from tests import tiny_checkpoints
from tests.conftest import ROOT
from tests.oddities.changes import one_layer

MEMORY = 8 << 30  # bytes of address space, of which torch alone takes half
ZERO_WIDTH = "\u200c"


def change(path: Path, **entries: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def small(family: str, folder: Path) -> Path:
    """A checkpoint of one layer, which is soon drawn."""
    checkpoint = tiny_checkpoints.save(family, folder / "checkpoint")
    one_layer(checkpoint)
    return checkpoint


def export(checkpoint: Path) -> int:
    return export_model.main(["--model", str(checkpoint), "--out", str(checkpoint.parent / "out"), "--licence-name", "CC0"])


def refusal(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The exporter's only line on stderr."""
    capsys.readouterr()
    assert export(checkpoint) == 1
    assert not (checkpoint.parent / "out").exists()
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def add_token(checkpoint: Path, token: AddedToken) -> None:
    path = checkpoint / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.add_tokens([token])
    tokenizer.save(str(path))


@pytest.mark.parametrize("family", ["bert", "qwen3"])
def test_a_token_that_the_embeddings_were_not_resized_for_is_refused(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tiny_checkpoints.save(family, tmp_path / "checkpoint")
    rows = json.loads((checkpoint / "config.json").read_text())["vocab_size"]
    add_token(checkpoint, AddedToken("pumice"))
    assert f"'pumice' ({rows})" in refusal(checkpoint, capsys)


def test_embeddings_that_are_wider_than_the_vocabulary_are_served(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoints.save("bert", tmp_path / "checkpoint")
    model = BertForSequenceClassification.from_pretrained(checkpoint)
    model.resize_token_embeddings(model.config.vocab_size + 6)
    model.save_pretrained(checkpoint)
    assert export(checkpoint) == 0


def test_padding_that_is_no_row_of_the_embeddings_is_refused(tmp_path: Path) -> None:
    checkpoint = families.load(tiny_checkpoints.save("bert", tmp_path))
    check_ids(checkpoint)
    with pytest.raises(ExportError, match=r"the ids \[30522\] of special tokens or padding"):
        check_ids(replace(checkpoint, pad_id=30522))


# Exports each checkpoint by turns, whose tokenizer would otherwise take all memory.
LIMITED = """
import resource, sys
from scripts import export_model
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
for checkpoint in sys.argv[2:]:
    assert export_model.main(["--model", checkpoint, "--out", checkpoint + "-bundle", "--licence-name", "CC0"]) == 1
"""


def test_an_added_token_that_the_normaliser_empties_is_refused_before_any_text_is_tokenised(tmp_path: Path) -> None:
    """In a process that can't take all memory: with such a token texts fall apart, and the library panics or takes what there is."""
    names = ("bert", "qwen3")
    for family in names:
        path = tiny_checkpoints.save(family, tmp_path / family) / "tokenizer.json"
        content = json.loads(path.read_text())
        strip = {"type": "Replace", "pattern": {"String": ZERO_WIDTH}, "content": ""}
        own = [content["normalizer"]] if content["normalizer"] else []
        path.write_text(json.dumps({**content, "normalizer": {"type": "Sequence", "normalizers": [*own, strip]}}))
        add_token(tmp_path / family, AddedToken(ZERO_WIDTH, normalized=True))
    command = [sys.executable, "-c", LIMITED, str(MEMORY), *(str(tmp_path / family) for family in names)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(names)
    for family, line in zip(names, lines, strict=True):
        assert f"{tmp_path / family}: " in line
        assert "leaves nothing of its added tokens U+200C" in line
        assert not (tmp_path / f"{family}-bundle").exists()


@pytest.mark.parametrize("family", ["bert", "deberta-v2", "qwen3"])
def test_a_checkpoint_without_its_vocabulary_is_refused(family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """transformers makes up a vocabulary of five special tokens, with which every word is unknown."""
    checkpoint = tiny_checkpoints.save(family, tmp_path / "checkpoint")
    for path in checkpoint.glob("tokenizer*"):
        path.unlink()
    assert "has no vocabulary" in refusal(checkpoint, capsys)


@pytest.mark.parametrize("family", ["bert", "llama_bidirec"])
def test_a_tokenizer_that_cuts_at_the_start_is_served_cutting_at_the_end(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = small(family, tmp_path)
    change(checkpoint / "tokenizer_config.json", truncation_side="left")
    assert export(checkpoint) == 0
    assert "WARNING: " in capsys.readouterr().err
    bundle = read_bundle(tmp_path / "out")
    (row,) = PairTokenizer(bundle, bundle.max_seq_len).encode("which way?", ["two roads diverged " * 99], truncate=True).rows
    reference = families.load(checkpoint)
    assert reference.encode("which way?", "two roads diverged " * 99).ids == unpacked(row).tolist()
    assert reference.encode("which way?", "two roads diverged").ids[:8] == unpacked(row).tolist()[:8]


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "gemma"])
def test_a_tokenizer_without_a_padding_token_is_served(family: str, tmp_path: Path) -> None:
    checkpoint = small(family, tmp_path)
    change(checkpoint / "tokenizer_config.json", pad_token=None)
    if family != "xlm-roberta":  # its positions count from the model's padding id
        change(checkpoint / "config.json", pad_token_id=None)
    assert export(checkpoint) == 0
    bundle = read_bundle(tmp_path / "out")
    assert 0 <= bundle.pad_id < bundle.vocabulary_size


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        lambda folder: (folder / "tokenizer.json").write_text('{"model": {"type": "Later"}}'),
        lambda folder: (folder / "tokenizer_config.json").write_text("["),
        lambda folder: (folder / "config.json").write_text("[]"),
        lambda folder: change(folder / "config.json", hidden_size=96),
        lambda folder: change(folder / "config.json", hidden_size="large"),
        lambda folder: change(folder / "config.json", num_attention_heads=5),
        lambda folder: change(folder / "config.json", max_position_embeddings=None),
        lambda folder: change(folder / "tokenizer_config.json", model_max_length="long"),
        lambda folder: (folder / "licence.json").write_text("{}"),
    ],
)
def test_a_broken_file_is_one_line(damage: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tiny_checkpoints.save("xlm-roberta", tmp_path / "checkpoint")
    damage(checkpoint)
    line = refusal(checkpoint, capsys)
    assert str(checkpoint) in line
    assert "unexpected" not in line
