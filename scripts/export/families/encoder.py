"""Sequence classifiers: a pair of texts goes in as the tokenizer joins it, a logit comes out of the head, or the difference of two.

The pair encoding is read off the tokenizer, pooling and limits off the loaded model's configuration; nothing is assumed of a particular
model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from facade.reranking.bundle import PairEncoding
from scripts.bert.forward import logits
from scripts.export import declared
from scripts.export.architecture import architecture
from scripts.export.checkpoint import Checkpoint, Encoded, ExportError
from scripts.export.labels import read_labels, with_one_label
from scripts.export.loading import BUFFERS, load_whole
from scripts.export.passes import own_pass
from scripts.export.passes.own import OwnPass
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
PROBE = ("a query", "and its passage")


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


class BertClassifier(OwnPass):
    """BERT by the project's own forward pass, which computes the last layer for the first token alone."""

    def logits(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """See OwnPass."""
        return logits(self.model, ids, mask, types)


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The classifier in `folder`. Raises ExportError for another class, weights that are not whole, and labels that are not plain."""
    model = _load_model(folder, config, family)
    labels = read_labels(folder, model.config)
    tokenizer = load_tokenizer(folder)
    limit = _limit(folder, model.config, tokenizer, family)
    segments = _has_segments(folder, model.config, tokenizer)
    inputs = ("input_ids", "attention_mask", *(("token_type_ids",) if segments else ()))

    def encode(query: str, passage: str) -> Encoded:
        # A list of pairs: transformers takes an empty second text of a single call for none.
        cut = tokenizer([(query, passage)], truncation="only_second", max_length=limit)
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
        pair_encoding=read_pair_encoding(tokenizer, segments=segments),
        max_seq_len=limit,
        vocabulary_size=int(model.config.vocab_size),
        pad_id=pad_id(tokenizer, model.config.pad_token_id),
        encode=encode,
        reference=reference,
        architecture=architecture(family, model.config, config, limit),
    )


def _load_model(folder: Path, config: dict[str, Any], family: str) -> Any:
    declared.check(folder, config, [CLASSES[family]])
    declared.check_no_prompt(folder)
    if family in LEARNED_POSITIONS:
        declared.check_positions(folder, config)
    model = load_whole(AutoModelForSequenceClassification, folder, HARMLESS)
    if getattr(model.config, "is_decoder", False):
        raise ExportError(
            f"{folder}/config.json says is_decoder, so its first token sees no other: the same score for every pair; correct it"
        )
    return model


def read_pair_encoding(tokenizer: Any, *, segments: bool) -> PairEncoding:
    """How the tokenizer itself joins two texts. Raises ExportError where a text's tokens change in company."""
    query, passage = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in PROBE)
    joined = tokenizer(*PROBE)
    ids = joined["input_ids"]
    first = _find(ids, query, 0)
    second = _find(ids, passage, first + len(query))
    encoding = PairEncoding(
        before_query=tuple(ids[:first]),
        between=tuple(ids[first + len(query) : second]),
        after_passage=tuple(ids[second + len(passage) :]),
        segment_ids=segments,
    )
    if segments and joined["token_type_ids"] != [0] * second + [1] * (len(ids) - second):
        raise ExportError("the tokenizer's segment ids are not 0 for the query and 1 from the passage on; no known family has others")
    return encoding


def _module(model: Any, family: str) -> nn.Module:
    """A family by the project's own pass where that computes what the configuration says, everything else by transformers'."""
    if family == "bert" and model.config.hidden_act == "gelu":
        return BertClassifier(model)
    return own_pass(model, family) or Classifier(model)


def _has_segments(folder: Path, config: Any, tokenizer: Any) -> bool:
    """Whether the tokenizer makes segment ids and the model reads them. Without, transformers takes 0 for every token."""
    made = max(tokenizer(*PROBE).get("token_type_ids", [0]))
    known = getattr(config, "type_vocab_size", 0)
    if made and known == 1:
        raise ExportError(
            f"{folder}: its tokenizer makes segment ids 0 and 1, its model knows one (type_vocab_size): they do not belong together"
        )
    return bool(made and known > 1)


def _find(ids: list[int], part: list[int], start: int) -> int:
    for place in range(start, len(ids) - len(part) + 1):
        if ids[place : place + len(part)] == part:
            return place
    raise ExportError("the tokenizer changes the tokens of a text when it joins two texts: no family with such a tokenizer can be exported")


def _limit(folder: Path, config: Any, tokenizer: Any, family: str) -> int:
    """The tokens of a pair: what the positions allow, or the tokenizer's own limit where that is lower."""
    positions = int(config.max_position_embeddings)
    if family in OFFSET_POSITIONS:
        if config.pad_token_id is None:
            raise ExportError(f"{folder}/config.json has no pad_token_id, from which {family} counts its positions: add it")
        positions -= int(config.pad_token_id) + 1
    return min(positions, int(tokenizer.model_max_length))
