"""Causal decoders with one score at the last token: classifiers, and language models scored by the logit of an answer.

A language model's score is the logit of one word of its vocabulary, or of one less that of another: those of sentence-transformers' module
LogitScore, else those of the published reranker of this family. Its prompt is the checkpoint's own chat template, where that is made for
pairs, else the published reranker's.

A classifier's prompt is its chat template for pairs; or the published reranker's, where its head proves that it was converted from that; or
none, where sentence-transformers trained it, whose pairs are joined by the tokenizer. Any other is refused, since its prompt is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from scripts.export import declared
from scripts.export.chat_template import pair_prompt
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families.causal import LastToken, Pairs, Parts, checkpoint
from scripts.export.families.original import ORIGINALS, Original
from scripts.export.joined import read_pair_encoding
from scripts.export.labels import Labels, read_labels
from scripts.export.loading import BUFFERS, load_whole
from scripts.export.prompt import as_pair_encoding
from scripts.export.tokenizer import load as load_tokenizer


@dataclass(frozen=True)
class Classes:
    """transformers' classes of a model_type; `language_model` is None where its logits are no linear function of its states."""

    classifier: str
    language_model: str | None = None
    attention: str = "sdpa"

    @property
    def names(self) -> list[str]:
        """Those that are known, the language model first."""
        return [name for name in (self.language_model, self.classifier) if name]


CLASSES = {
    "qwen2": Classes("Qwen2ForSequenceClassification", "Qwen2ForCausalLM"),
    "qwen3": Classes("Qwen3ForSequenceClassification", "Qwen3ForCausalLM"),
    "llama": Classes("LlamaForSequenceClassification", "LlamaForCausalLM"),
    "gemma": Classes("GemmaForSequenceClassification", "GemmaForCausalLM"),
    "gemma2": Classes("Gemma2ForSequenceClassification", attention="eager"),  # which alone limits the scores of attention
    "gemma3_text": Classes("Gemma3TextForSequenceClassification"),
}
HARMLESS = {**BUFFERS, r"^lm_head\.": "the head of the language model that the classifier was made of"}
# A conversion computes the difference in the weights' precision, in bf16 with 8 bits; relative to the head's length.
CONVERTED = 0.02


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The reranker in `folder`. Raises ExportError for another class, weights that are not whole, and a prompt that is not known."""
    classes = CLASSES[family]
    declared.check(folder, config, classes.names)
    if classes.classifier in config["architectures"]:
        return _classifier(folder, config, family)
    return _language_model(folder, family)


def _language_model(folder: Path, family: str) -> Checkpoint:
    name = str(CLASSES[family].language_model)
    model: Any = load_whole(getattr(transformers, name), folder, attn_implementation=CLASSES[family].attention)
    tokenizer = load_tokenizer(folder)
    original, answers, prompt = ORIGINALS.get(family), _answers(folder, tokenizer, family), pair_prompt(folder, tokenizer)
    if prompt is not None:
        pairs = Pairs(as_pair_encoding(tokenizer, prompt, special=False))
    elif original is not None:
        declared.check_no_prompt(folder)
        pairs = original.pairs(folder, tokenizer)
    else:
        raise _unknown(folder, name)

    def reference(ids: Tensor) -> float:
        with torch.inference_mode():
            return float(answers.logit(model(input_ids=ids).logits[0, -1]))

    module = LastToken(model.model, answers.logit(model.lm_head.weight.detach().T)).eval()
    return checkpoint(Parts(family, module, reference), tokenizer, pairs, model.config)


def _answers(folder: Path, tokenizer: Any, family: str) -> Labels:
    """The tokens whose logits are read."""
    module, original = declared.logit_score(folder), ORIGINALS.get(family)
    if module is not None:
        return Labels(int(module["true_token_id"]), module.get("false_token_id"))
    if original is None:
        raise ExportError(
            f"{folder} is a {CLASSES[family].language_model} without sentence-transformers' module LogitScore, so the words of its answers "
            "are not known: save it as a CrossEncoder of sentence-transformers"
        )
    answers = original.answers(tokenizer)
    if answers is None:
        raise ExportError(
            f"{folder}: its tokenizer has no tokens of their own for {' and '.join(original.words)}, so it is no {original.name}"
        )
    return answers


def _classifier(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    name, original = CLASSES[family].classifier, ORIGINALS.get(family)
    model: Any = load_whole(getattr(transformers, name), folder, HARMLESS, attn_implementation=CLASSES[family].attention)
    tokenizer = load_tokenizer(folder)
    head = model.score.weight.detach()
    converted = _converted(original, tokenizer, model.model.embed_tokens.weight.detach(), head) if original else None
    labels = converted or read_labels(folder, model.config)
    prompt = pair_prompt(folder, tokenizer)
    if prompt is not None:
        pairs = Pairs(as_pair_encoding(tokenizer, prompt, special=False))
    elif original is not None and converted is not None:
        pairs = original.pairs(folder, tokenizer)
    elif declared.joins_texts(folder, config):
        encoding = read_pair_encoding(tokenizer, segments=False)
        pairs = Pairs(replace(encoding, query_prefix=declared.query_prompt(folder)), joined=True)
    else:
        raise _unknown(folder, name)

    def reference(ids: Tensor) -> float:
        with torch.inference_mode():
            return float(labels.logit(model(input_ids=ids).logits[0]))

    module = LastToken(model.model, labels.logit(head.T), padding=model.config.pad_token_id).eval()
    return checkpoint(Parts(family, module, reference), tokenizer, pairs, model.config)


def _converted(original: Original, tokenizer: Any, embeddings: Tensor, head: Tensor) -> Labels | None:
    """The labels of a classifier that was converted from the published reranker; None for any other.

    Its head [labels, hidden] is made of the embeddings [vocabulary, hidden] of the answers: one of them, their difference, or both.
    """
    answers = original.answers(tokenizer)
    if answers is None:
        return None
    known = {Labels(): answers.logit(embeddings.T)[None]}
    if answers.negative is not None:
        known[Labels(1, 0)] = embeddings[[answers.negative, answers.positive]]
        known[Labels(0, 1)] = embeddings[[answers.positive, answers.negative]]
    near = CONVERTED * float(head.norm())
    return next((labels for labels, made in known.items() if made.shape == head.shape and float((head - made).norm()) <= near), None)


def _unknown(folder: Path, name: str) -> ExportError:
    return ExportError(
        f"{folder} is a {name} without a chat template for pairs, so the prompt that it was trained with is not known: give it a "
        "chat_template.jinja that renders the roles query and document, as sentence-transformers uses it"
    )
