"""Tiny sequence classifiers."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from tests.tiny_checkpoints.dimensions import SMALL
from tests.tiny_checkpoints.tokenizers import (
    LIMIT,
    ROBERTA,
    ROBERTA_JOINS,
    ROBERTA_SPECIAL,
    bracketed,
    byte_level,
    sentencepiece_model,
    spaced,
    word_pieces,
)


def classifier(folder: Path, family: str, tokenizer: Any, **more: Any) -> None:
    config = AutoConfig.for_model(
        family,
        **{
            **SMALL,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": LIMIT,
            "pad_token_id": tokenizer.pad_token_id,
            "num_labels": 1,
            **more,
        },
    )
    torch.manual_seed(7)
    make: Any = AutoModelForSequenceClassification
    make.from_config(config).save_pretrained(folder)


def bert(folder: Path) -> None:
    classifier(folder, "bert", word_pieces(folder))


def electra(folder: Path) -> None:
    classifier(folder, "electra", word_pieces(folder), embedding_size=24)


def distilbert(folder: Path) -> None:
    classifier(folder, "distilbert", word_pieces(folder), dim=48, n_layers=2, n_heads=4, hidden_dim=96)


def roberta(folder: Path) -> None:
    tokenizer = byte_level(folder, None, ROBERTA_SPECIAL, *ROBERTA_JOINS, **ROBERTA)
    classifier(folder, "roberta", tokenizer, max_position_embeddings=LIMIT + 2, type_vocab_size=1)


def xlm_roberta(folder: Path) -> None:
    tokenizer = spaced(folder, "unigram", ROBERTA_SPECIAL, *ROBERTA_JOINS, **ROBERTA)
    classifier(folder, "xlm-roberta", tokenizer, max_position_embeddings=LIMIT + 2, type_vocab_size=1)


def modernbert(folder: Path) -> None:
    classifier(folder, "modernbert", bracketed(folder, "bytes"), classifier_pooling="mean", num_hidden_layers=4, local_attention=16)


def gte(folder: Path) -> None:
    tokenizer = spaced(folder, "unigram", ROBERTA_SPECIAL, *ROBERTA_JOINS, **ROBERTA)
    rotary = {"rope_type": "linear", "rope_theta": 160_000.0, "factor": 8 ** (2 / 12)}
    classifier(folder, "gte", tokenizer, rope_parameters=rotary)


def deberta(folder: Path) -> None:
    kinds = {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
    }
    classifier(folder, "deberta-v2", bracketed(folder, "unigram"), type_vocab_size=0, position_biased_input=False, **kinds)


def _with_sentencepiece_alone(folder: Path, family: str, file: str, **more: Any) -> None:
    """A classifier whose tokenizer comes as a SentencePiece model and as nothing else; transformers converts it."""
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    classifier(folder, family, AutoTokenizer.from_pretrained(folder), **more)
    if [path.name for path in folder.glob("*token*")] or not (folder / file).is_file():
        raise AssertionError(f"{folder} holds another tokenizer than {file}")


def xlm_roberta_sentencepiece(folder: Path) -> None:
    sentencepiece_model(folder / "sentencepiece.bpe.model", "unigram", 100)
    kinds = {"max_position_embeddings": LIMIT + 2, "type_vocab_size": 1}
    _with_sentencepiece_alone(folder, "xlm-roberta", "sentencepiece.bpe.model", **kinds)


def deberta_sentencepiece(folder: Path) -> None:
    roles = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    pieces = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]", "user_defined_symbols": ["[MASK]"]}
    sentencepiece_model(folder / "spm.model", "unigram", 100, **roles, **pieces)
    kinds = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16, "norm_rel_ebd": "layer_norm"}
    _with_sentencepiece_alone(folder, "deberta-v2", "spm.model", type_vocab_size=0, position_biased_input=False, **kinds)
