"""Sequence classifiers with one label: a pair of texts goes in as the tokenizer joins it, a logit comes out of the head.

The pair encoding is read off the tokenizer, pooling and limits off the config; nothing is assumed of a particular model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from facade.bundle import PairEncoding
from scripts.bert.forward import logits
from scripts.export.architecture import architecture
from scripts.export.checkpoint import Checkpoint, Encoded, ExportError
from scripts.export.tokenizer import load as load_tokenizer
from scripts.export.tokenizer import pad_id

MODEL_TYPES = ("bert", "xlm-roberta", "roberta", "distilbert", "electra", "modernbert", "deberta-v2")
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


class BertClassifier(nn.Module):
    """BERT by the project's own forward pass, which computes the last layer for the first token alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Raw logits, FP32 [batch]."""
        return logits(self.model, input_ids, attention_mask, token_type_ids).float()


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The classifier in `folder`. Raises ExportError for one with more labels than one."""
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    if model.config.num_labels != 1:
        raise ExportError(f"{folder} has {model.config.num_labels} labels; a reranker has one. Train it with num_labels=1.")
    tokenizer = load_tokenizer(folder)
    limit = _limit(config, tokenizer, family)
    segments = int(config.get("type_vocab_size") or 0) > 1
    inputs = ("input_ids", "attention_mask", *(("token_type_ids",) if segments else ()))

    def encode(query: str, passage: str) -> Encoded:
        # A list of pairs: transformers takes an empty second text of a single call for none.
        cut = tokenizer([(query, passage)], truncation="only_second", max_length=limit, return_token_type_ids=True)
        ids = cut["input_ids"][0]
        return Encoded(ids, cut["token_type_ids"][0] if segments else [0] * len(ids))

    def reference(pair: Encoded) -> float:
        tensors = {"input_ids": torch.tensor([pair.ids])}
        if segments:
            tensors["token_type_ids"] = torch.tensor([pair.segments])
        with torch.inference_mode():
            return float(model(**tensors).logits[0, 0])

    module = BertClassifier(model) if family == "bert" and segments else Classifier(model)
    return Checkpoint(
        family=family,
        module=module.eval(),
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


def read_pair_encoding(tokenizer: Any, *, segments: bool) -> PairEncoding:
    """How the tokenizer itself joins two texts. Raises ExportError where a text's tokens change in company."""
    query, passage = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in PROBE)
    joined = tokenizer(*PROBE, return_token_type_ids=True)
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


def _find(ids: list[int], part: list[int], start: int) -> int:
    for place in range(start, len(ids) - len(part) + 1):
        if ids[place : place + len(part)] == part:
            return place
    raise ExportError("the tokenizer changes a text's tokens when it joins two of them; such a family is not known here")


def _limit(config: dict[str, Any], tokenizer: Any, family: str) -> int:
    """The tokens of a pair: what the positions allow, or the tokenizer's own limit where that is lower."""
    positions = int(config.get("max_position_embeddings") or tokenizer.model_max_length)
    if family in OFFSET_POSITIONS:
        positions -= int(config.get("pad_token_id", 1)) + 1
    return min(positions, int(tokenizer.model_max_length))
