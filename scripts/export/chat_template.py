"""A checkpoint's own chat template as a prompt, where it is one for a pair: sentence-transformers' roles `query` and `document`.

Read in sentence-transformers 6.2, base/modules/transformer.py and base/modality.py: a pair becomes one message for each role, a default
prompt the system's message before them, and the template's settings stand in sentence_bert_config.json. Knows no family.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from scripts.export.checkpoint import ExportError
from scripts.export.declared import PROMPTS, TRANSFORMER, sentence_transformers
from scripts.export.prompt import TRIED, Prompt

QUERY, DOCUMENT = "first9text", "second9text"  # stand for a pair's texts; no template holds them


def pair_prompt(folder: Path, tokenizer: Any) -> Prompt | None:
    """The prompt of the tokenizer's chat template, or None where it has none or one that leaves pairs out.

    Raises ExportError for a template that changes the texts, or uses them otherwise than the query once and then the document once.
    """
    if not isinstance(tokenizer.chat_template, str) or not _takes_messages(folder):
        return None
    whole = _render(folder, tokenizer, QUERY, DOCUMENT)
    if QUERY not in whole and DOCUMENT not in whole:
        return None
    before, query_found, rest = whole.partition(QUERY)
    between, document_found, after = rest.partition(DOCUMENT)
    if not (query_found and document_found) or QUERY in rest or DOCUMENT in before + after:
        raise ExportError(f"{folder}: its chat template does not hold the query once and then the document once; no other is known")
    prompt = _cut(before, between, after)
    changed = next((pair for pair in product(TRIED, TRIED) if _render(folder, tokenizer, *pair) != prompt.fill(*pair)), None)
    if changed is not None:
        raise ExportError(
            f"{folder}: its chat template changes the texts, for example {changed!r}: a template has to insert them as they are"
        )
    return prompt


def _cut(before: str, between: str, after: str) -> Prompt:
    """Cut after the last line feed before each text: tokenizers of language models start a new token there."""
    start, middle = before.rfind("\n") + 1, between.rfind("\n") + 1
    return Prompt(before[:start], before[start:], between[:middle], between[middle:], after)


def _takes_messages(folder: Path) -> bool:
    """Whether sentence-transformers would use the template: its settings, where they list inputs, have to list messages."""
    inputs = sentence_transformers(folder, TRANSFORMER).get("modality_config")
    return inputs is None or "message" in inputs


def _render(folder: Path, tokenizer: Any, query: str, document: str) -> str:
    settings = sentence_transformers(folder, TRANSFORMER)
    options = dict(settings.get("processing_kwargs", {}).get("chat_template", {}))
    options.pop("restore_suffix", None)  # of truncation
    structured = settings.get("modality_config", {}).get("message", {}).get("format") == "structured"
    texts = {"query": query, "document": document}
    prompts = sentence_transformers(folder, PROMPTS)
    if prompts.get("default_prompt_name") is not None:
        texts = {"system": prompts["prompts"][prompts["default_prompt_name"]], **texts}
    messages = [{"role": role, "content": [{"type": "text", "text": text}] if structured else text} for role, text in texts.items()]
    try:
        rendered: str = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    except (TemplateError, TypeError, ValueError, KeyError):
        return ""  # a template for conversations alone, which refuses other roles
    return rendered
