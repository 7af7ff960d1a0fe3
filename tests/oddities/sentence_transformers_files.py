"""What sentence-transformers writes beside a checkpoint, as changes of a tiny one: templates, modules, and the settings of its prompts."""

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from tests.oddities.changes import Change, config, entries, write

# A reranker's template, in the roles that sentence-transformers gives a pair's texts.
PAIR_TEMPLATE = (
    "<|im_start|>system\nIs it an answer?<|im_end|>\n<|im_start|>user\n"
    '<Query>: {{ messages | selectattr("role", "eq", "query") | map(attribute="content") | first }}\n'
    '<Document>: {{ messages | selectattr("role", "eq", "document") | map(attribute="content") | first }}'
    "<|im_end|>\n{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHAT_TEMPLATE = "{% for message in messages %}{% if message.role == 'user' %}{{ message.content }}{% endif %}{% endfor %}"


def trained(folder: Path) -> None:
    """What sentence-transformers 4 adds to config.json."""
    config(sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity", "version": "4.1.0"})(folder)


def template(text: str) -> Change:
    def change(folder: Path) -> None:
        (folder / "chat_template.jinja").write_text(text)

    return change


def cross_encoder(*more: dict[str, Any], texts_alone: bool = False, **settings: Any) -> Change:
    """The files that sentence-transformers writes beside a checkpoint: its modules, and the settings of its prompts."""

    def change(folder: Path) -> None:
        modules = [{"path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"}, *more]
        write(folder, "modules.json", [{"idx": number, "name": str(number), **module} for number, module in enumerate(modules)])
        write(
            folder,
            "config_sentence_transformers.json",
            {"model_type": "CrossEncoder", "prompts": {}, "default_prompt_name": None} | settings,
        )
        messages = {"method": "forward", "method_output_name": "logits", "format": "flat"}
        texts = {name: messages[name] for name in ("method", "method_output_name")}
        made = {
            "transformer_task": "text-generation" if more else "sequence-classification",
            "modality_config": {"text": texts} if texts_alone else {"text": texts, "message": messages},
            "module_output_name": "causal_logits" if more else "scores",
            "processing_kwargs": {"chat_template": {"add_generation_prompt": True}},
        }
        write(folder, "sentence_bert_config.json", made)

    return change


def logit_of(word: str) -> Change:
    """sentence-transformers' module that scores by the logit of one word."""

    def change(folder: Path) -> None:
        cross_encoder({"path": "1_LogitScore", "type": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"})(folder)
        token = AutoTokenizer.from_pretrained(folder).get_vocab()[word]
        write(folder, "1_LogitScore/config.json", {"true_token_id": token, "false_token_id": None})

    return change


def pooled(mode: str | list[str], **more: Any) -> Change:
    """Another pooling of sentence-transformers."""
    return entries("1_Pooling/config.json", pooling_mode=mode, **more)


def without_module(number: int) -> Change:
    """One module of sentence-transformers less."""

    def change(folder: Path) -> None:
        listed = json.loads((folder / "modules.json").read_text())
        write(folder, "modules.json", [module for module in listed if module["idx"] != number])

    return change


def module_of(number: int, kind: str) -> Change:
    """A module of another class in a place of sentence-transformers' list."""

    def change(folder: Path) -> None:
        listed = json.loads((folder / "modules.json").read_text())
        listed[number]["type"] = kind
        write(folder, "modules.json", listed)

    return change
