"""Qwen3-Reranker: a causal language model that is asked for "yes" or "no"; the logit is yes minus no at the last token.

Three forms of it are known: the language model; the language model with sentence-transformers' module LogitScore, which names the answers;
and a classifier, whose head at the last token takes the vocabulary's place. Prompt and instruction are those of the checkpoint's chat
template, where that is made for pairs, else those of the original, read in vLLM's qwen3_reranker template. The document is cut where a
pair is too long, never what follows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM, Qwen3ForSequenceClassification

from scripts.export import declared
from scripts.export.chat_template import pair_prompt
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families.causal import LastToken, Parts, checkpoint
from scripts.export.labels import Labels, read_labels
from scripts.export.loading import BUFFERS, load_whole
from scripts.export.prompt import Prompt, as_pair_encoding
from scripts.export.tokenizer import load as load_tokenizer

LANGUAGE_MODEL, CLASSIFIER = "Qwen3ForCausalLM", "Qwen3ForSequenceClassification"
HARMLESS = {**BUFFERS, r"^lm_head\.": "the head of the language model that the classifier was made of"}
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
PROMPT = Prompt(
    before="<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
    query_prefix=f"<Instruct>: {INSTRUCTION}\n<Query>: ",
    query_suffix="\n",
    passage_prefix="<Document>: ",
    after="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)
# A conversion computes yes minus no in the weights' precision, in bf16 with 8 bits; relative to the head's length.
CONVERTED = 0.02


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The reranker in `folder`. Raises ExportError for another class, weights that are not whole, and a prompt that is not known."""
    declared.check(folder, config, [LANGUAGE_MODEL, CLASSIFIER])
    if LANGUAGE_MODEL in config["architectures"]:
        return _language_model(folder, family)
    return _classifier(folder, family)


def _language_model(folder: Path, family: str) -> Checkpoint:
    model: Any = load_whole(Qwen3ForCausalLM, folder, attn_implementation="sdpa")
    tokenizer = load_tokenizer(folder)
    answers = _answers(folder, tokenizer)
    prompt = pair_prompt(folder, tokenizer) or PROMPT

    def reference(ids: Tensor) -> float:
        with torch.inference_mode():
            return float(answers.logit(model(input_ids=ids).logits[0, -1]))

    module = LastToken(model.model, answers.logit(model.lm_head.weight.detach().T)).eval()
    return checkpoint(Parts(family, module, reference), tokenizer, as_pair_encoding(tokenizer, prompt), model.config)


def _classifier(folder: Path, family: str) -> Checkpoint:
    model: Any = load_whole(Qwen3ForSequenceClassification, folder, HARMLESS, attn_implementation="sdpa")
    labels = read_labels(folder, model.config)
    tokenizer = load_tokenizer(folder)
    direction = labels.logit(model.score.weight.detach().T)
    prompt = pair_prompt(folder, tokenizer) or _original_prompt(folder, tokenizer, model.model.embed_tokens.weight, direction)

    def reference(ids: Tensor) -> float:
        with torch.inference_mode():
            return float(labels.logit(model(input_ids=ids).logits[0]))

    module = LastToken(model.model, direction).eval()
    return checkpoint(Parts(family, module, reference), tokenizer, as_pair_encoding(tokenizer, prompt), model.config)


def _answers(folder: Path, tokenizer: Any) -> Labels:
    """The tokens whose logits are read: those of sentence-transformers' LogitScore, or yes and no."""
    module = declared.logit_score(folder)
    if module is not None:
        return Labels(int(module["true_token_id"]), module.get("false_token_id"))
    return _yes_and_no(folder, tokenizer)


def _yes_and_no(folder: Path, tokenizer: Any) -> Labels:
    vocabulary = tokenizer.get_vocab()
    yes, no = (vocabulary.get(answer) for answer in ("yes", "no"))
    if yes is None or no is None:
        raise ExportError(f"{folder}: its tokenizer has no tokens of their own for yes and no, so it is no Qwen3 reranker")
    return Labels(yes, no)


def _original_prompt(folder: Path, tokenizer: Any, embeddings: Tensor, head: Tensor) -> Prompt:
    """The original's prompt, for a classifier that is proven to be the original converted: its head is yes minus no of its vocabulary."""
    direction = _yes_and_no(folder, tokenizer).logit(embeddings.detach().T)
    if float((head - direction).norm()) <= CONVERTED * float(head.norm()):
        return PROMPT
    raise ExportError(
        f"{folder} is a {CLASSIFIER} without a chat template for pairs, so the prompt that it was trained with is not known: give it a "
        "chat_template.jinja that renders the roles query and document, as sentence-transformers uses it"
    )
