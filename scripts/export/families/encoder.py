"""Sequence classifiers: a pair of texts goes in as the tokenizer joins it, a logit comes out of the head, or the difference of two.

Pooling comes from the loaded model's configuration; no particular model is assumed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from scripts.export import declared
from scripts.export.architecture import architecture
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families import pair_texts
from scripts.export.labels import read_labels, with_one_label
from scripts.export.loading import BUFFERS, load_whole
from scripts.export.passes import own_pass

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


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The classifier in `folder`. Raises ExportError for another class, weights that are not whole, and labels that are not plain."""
    return assembled(folder, config, family, load_model(AutoModelForSequenceClassification, CLASSES[family], folder, config))


def assembled(folder: Path, config: dict[str, Any], family: str, model: Any) -> Checkpoint:
    """The checkpoint of a classifier of transformers that holds the weights in `folder`."""
    labels = read_labels(folder, model.config)
    texts = pair_texts.read(folder, model.config, family)
    module = _module(with_one_label(model, labels), family)
    made = texts.checkpoint(family, model.config, module, lambda pair: labels.logit(model(**pair).logits))
    return replace(made, architecture=architecture(family, model.config, config, texts.limit))


def load_model(make: Any, name: str, folder: Path, config: dict[str, Any]) -> Any:
    """The model of the class `name` that `make` loads from `folder`.

    Raises ExportError where that computes something else than config.json says, or the same for every pair.
    """
    declared.check(folder, config, [name])
    if config["model_type"] in LEARNED_POSITIONS:
        declared.check_positions(folder, config)
    model = load_whole(make, folder, HARMLESS)
    if getattr(model.config, "is_decoder", False):
        raise ExportError(
            f"{folder}/config.json says is_decoder, so its first token sees no other: the same score for every pair; correct it"
        )
    return model


def _module(model: Any, family: str) -> nn.Module:
    """By the project's own pass where that computes what the configuration says, else by transformers'."""
    return own_pass(model, family) or Classifier(model)
