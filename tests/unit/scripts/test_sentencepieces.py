"""python -m pytest tests/unit/scripts/test_sentencepieces.py

Tokenizers that come as a SentencePiece model, or with its table of characters, cut texts as SentencePiece does; else they are refused.
"""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Regex, Tokenizer, normalizers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import SentencePieceExtractor

from facade.reranking.bundle import read_bundle
from facade.reranking.pairs import PairTokenizer
from facade.reranking.token_ids import unpacked
from scripts.export import tokenizer
from scripts.export.checkpoint import ExportError
from tests import tiny_checkpoints
from tests.exported import Exports
from tests.oddities.changes import one_layer
from tests.tiny_checkpoints.tokenizers import sentencepiece_model

SAVED = {
    "xlm-roberta with sentencepiece.bpe.model": "sentencepiece.bpe.model",
    "deberta-v2 with spm.model": "spm.model",
}
UNKNOWN = {"xlm-roberta with sentencepiece.bpe.model": "<unk>", "deberta-v2 with spm.model": "[UNK]"}
# A no-break space, a ligature, wide letters, a zero-width space: what the table of characters is for.
TEXTS = ["which way?", "a\u00a0yellow wood", "\ufb01nd", "\uff37\uff41\uff59", "yel\u200blow", " two  roads "]


@pytest.mark.parametrize("family", SAVED)
def test_a_sentencepiece_model_alone_is_exported_and_cuts_as_sentencepiece_does(family: str, exports: Exports, tmp_path: Path) -> None:
    checkpoint = tiny_checkpoints.save(family, tmp_path / "checkpoint")
    one_layer(checkpoint)
    bundle = read_bundle(exports.bundle(checkpoint, tmp_path / "out"))
    rows = PairTokenizer(bundle, bundle.max_seq_len).encode("", TEXTS, truncate=True).rows
    own = SentencePieceProcessor(model_file=str(checkpoint / SAVED[family]))
    written = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    encoding = bundle.pair_encoding
    head, tail = len(encoding.before_query) + len(encoding.between), len(encoding.after_passage)
    for text, row in zip(TEXTS, rows, strict=True):
        pieces = [piece if own.piece_to_id(piece) != own.unk_id() else UNKNOWN[family] for piece in own.encode(text, out_type=str)]
        assert [written.id_to_token(token_id) for token_id in unpacked(row).tolist()[head:-tail]] == pieces, text


def with_table(folder: Path) -> Path:
    """A DeBERTa checkpoint with the tokenizer.json that transformers 4 wrote: the table of characters is its normaliser's."""
    model = tiny_checkpoints.save("deberta-v2 with spm.model", folder / "model") / "spm.model"
    table = SentencePieceExtractor(str(model)).proto.normalizer_spec.precompiled_charsmap
    checkpoint = tiny_checkpoints.save("deberta-v2", folder / "checkpoint")
    whole = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    parts: list[Any] = [normalizers.Strip(), normalizers.Precompiled(table), normalizers.Replace(Regex(" {2,}"), " ")]
    whole.normalizer = normalizers.Sequence(parts)
    whole.save(str(checkpoint / "tokenizer.json"))
    path = checkpoint / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tokenizer_class": "DebertaV2Tokenizer"}))
    return checkpoint


def test_the_table_of_characters_that_transformers_leaves_out_is_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = with_table(tmp_path)
    own = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    loaded = tokenizer.load(checkpoint)
    for text in TEXTS:
        assert loaded(text)["input_ids"] == own.encode(text).ids, text
    assert "WARNING" not in capsys.readouterr().err


def test_an_added_token_that_the_table_empties_is_refused(tmp_path: Path) -> None:
    checkpoint = with_table(tmp_path)
    whole = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    whole.add_tokens([AddedToken("\x7f", normalized=True)])
    whole.save(str(checkpoint / "tokenizer.json"))
    with pytest.raises(ExportError, match=r"leaves nothing of its added tokens U\+007F"):
        tokenizer.load(checkpoint)


def test_a_tokenizer_json_that_transformers_reads_otherwise_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tiny_checkpoints.save("bert", tmp_path)
    whole = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    whole.normalizer = normalizers.BertNormalizer(lowercase=False)
    whole.save(str(checkpoint / "tokenizer.json"))
    tokenizer.load(checkpoint)
    assert "WARNING: transformers cuts " in capsys.readouterr().err


def test_a_conversion_that_cuts_otherwise_than_sentencepiece_is_refused(tmp_path: Path) -> None:
    """transformers makes a tokenizer.model of a Mistral without the space before the text."""
    checkpoint = tiny_checkpoints.save("mistral_bidirec", tmp_path / "checkpoint")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (checkpoint / file).unlink()
    sentencepiece_model(checkpoint / "tokenizer.model", "bpe", 360, byte_fallback=True, normalization_rule_name="identity")
    with pytest.raises(ExportError, match=r"in another way than SentencePiece does: put the tokenizer\.json"):
        tokenizer.load(checkpoint, PreTrainedTokenizerFast)
