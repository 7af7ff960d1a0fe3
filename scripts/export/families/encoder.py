"""Sequence classifiers: a pair of texts goes in as the tokenizer joins it, a logit comes out of the head, or the difference of two.

The pair encoding is read off the tokenizer, pooling and limits off the loaded model's configuration; nothing is assumed of a particular
model.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from scripts.bert.forward import logits
from scripts.export import declared
from scripts.export.architecture import architecture
from scripts.export.checkpoint import Checkpoint, Encoded, ExportError
from scripts.export.joined import PROBE, read_pair_encoding
from scripts.export.labels import read_labels, with_one_label
from scripts.export.loading import BUFFERS, load_whole
from scripts.export.tokenizer import load as load_tokenizer
from scripts.export.tokenizer import pad_id

CLASSES = {
    "bert": "BertForSequenceClassification",
    "xlm-roberta": "XLMRobertaForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "distilbert": "DistilBertForSequenceClassification",
    "electra": "ElectraForSequenceClassification",
    "modernbert": "ModernBertForSequenceClassification",
    "deberta-v2": "DebertaV2ForSequenceClassification",
}
LEARNED_POSITIONS = ("bert", "xlm-roberta", "roberta", "distilbert", "electra")
# What a file may hold beside the classifier's weights (loading.py).
HARMLESS = {
    **BUFFERS,
    r"^(cls|lm_head|lm_predictions|mask_predictions|generator_predictions|discriminator_predictions)\.": "a head of pretraining",
    r"^vocab_(transform|layer_norm|projector)\.": "DistilBERT's head of pretraining",
    r"^roberta\.pooler\.": "the classifier's head reads the first token itself",
    r"^deberta\.embeddings\.position_embeddings\.": "not read where position_biased_input is off",
}
# RoBERTa's positions are counted from the padding id on, so as many fewer tokens fit.
OFFSET_POSITIONS = ("xlm-roberta", "roberta")


class Classifier(nn.Module):
    """Any of the classifiers, as the graph wants it: tensors by position, logits [batch]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Raw logits, FP32 [batch]; segment ids for the families that have them."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        scores: Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask, **segments).logits[:, 0]
        return scores.float()


class BertClassifier(nn.Module):
    """BERT by the project's own forward pass, which computes the last layer for the first token alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Raw logits, FP32 [batch]. Without segment ids all are 0, as transformers has it."""
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        return logits(self.model, input_ids, attention_mask, types).float()


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The classifier in `folder`. Raises ExportError for another class, weights that are not whole, and labels that are not plain."""
    model = _load_model(folder, config, family)
    labels = read_labels(folder, model.config)
    tokenizer = load_tokenizer(folder)
    limit = _limit(folder, model.config, tokenizer, family)
    segments = _has_segments(folder, model.config, tokenizer)
    inputs = ("input_ids", "attention_mask", *(("token_type_ids",) if segments else ()))
    encoding = replace(read_pair_encoding(tokenizer, segments=segments), query_prefix=declared.query_prompt(folder))

    def encode(query: str, passage: str) -> Encoded:
        # A list of pairs: transformers takes an empty second text of a single call for none.
        cut = tokenizer([(encoding.query_prefix + query, passage)], truncation="only_second", max_length=limit)
        ids = cut["input_ids"][0]
        return Encoded(ids, cut["token_type_ids"][0] if segments else [0] * len(ids))

    def reference(pair: Encoded) -> float:
        tensors = {"input_ids": torch.tensor([pair.ids])}
        if segments:
            tensors["token_type_ids"] = torch.tensor([pair.segments])
        with torch.inference_mode():
            return float(labels.logit(model(**tensors).logits)[0])

    return Checkpoint(
        family=family,
        module=_module(with_one_label(model, labels), family).eval(),
        inputs=inputs,
        tokenizer=tokenizer,
        pair_encoding=encoding,
        max_seq_len=limit,
        vocabulary_size=int(model.config.vocab_size),
        pad_id=pad_id(tokenizer, model.config.pad_token_id),
        encode=encode,
        reference=reference,
        architecture=architecture(family, model.config, config, limit),
    )


def _load_model(folder: Path, config: dict[str, Any], family: str) -> Any:
    declared.check(folder, config, [CLASSES[family]])
    if family in LEARNED_POSITIONS:
        declared.check_positions(folder, config)
    model = load_whole(AutoModelForSequenceClassification, folder, HARMLESS)
    if getattr(model.config, "is_decoder", False):
        raise ExportError(
            f"{folder}/config.json says is_decoder, so its first token sees no other: the same score for every pair; correct it"
        )
    return model


def _module(model: Any, family: str) -> nn.Module:
    """BERT by the project's own pass where that computes what the configuration says, everything else by transformers'."""
    own = family == "bert" and model.config.hidden_act == "gelu"
    return BertClassifier(model) if own else Classifier(model)


def _has_segments(folder: Path, config: Any, tokenizer: Any) -> bool:
    """Whether the tokenizer makes segment ids and the model reads them. Without, transformers takes 0 for every token."""
    made = max(tokenizer(*PROBE).get("token_type_ids", [0]))
    known = getattr(config, "type_vocab_size", 0)
    if made and known == 1:
        raise ExportError(
            f"{folder}: its tokenizer makes segment ids 0 and 1, its model knows one (type_vocab_size): they do not belong together"
        )
    return bool(made and known > 1)


def _limit(folder: Path, config: Any, tokenizer: Any, family: str) -> int:
    """The tokens of a pair: what the positions allow, or the tokenizer's own limit where that is lower."""
    positions = int(config.max_position_embeddings)
    if family in OFFSET_POSITIONS:
        if config.pad_token_id is None:
            raise ExportError(f"{folder}/config.json has no pad_token_id, from which {family} counts its positions: add it")
        positions -= int(config.pad_token_id) + 1
    return min(positions, int(tokenizer.model_max_length))
