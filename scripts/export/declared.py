"""What a checkpoint declares beside its weights, held to what a family knows: another architecture under a known name is refused.

Two architectures can have weights of the same names and shapes, and entries of config.json that transformers does not know are left out in
silence. So a family states the classes that it is built as, and what would change the score is refused. Knows files, no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.export.checkpoint import ExportError

ADAPTER = "adapter_config.json"
TOKENIZER_SETTINGS = "tokenizer_config.json"
MODULES = "modules.json"  # sentence-transformers', as the next
PROMPTS = "config_sentence_transformers.json"
TRANSFORMER = "sentence_bert_config.json"


def check(folder: Path, config: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Raise ExportError unless config.json names one of `classes` and nothing beside it changes what is computed.

    For families whose every part is transformers' own: a checkpoint that comes with code of its own is refused.
    """
    check_class(folder, config, classes)
    _check_no_code(folder, "config.json", config, classes)
    check_tokenizer(folder, classes)


def check_tokenizer(folder: Path, classes: Sequence[str]) -> None:
    """Raise ExportError for a tokenizer that comes with code of its own."""
    _check_no_code(folder, TOKENIZER_SETTINGS, read(folder / TOKENIZER_SETTINGS), classes)


def _check_no_code(folder: Path, file: str, entries: Mapping[str, Any], classes: Sequence[str]) -> None:
    if entries.get("auto_map"):
        raise ExportError(
            f"{folder} comes with code of its own (auto_map in {file}), which is never run, and transformers' "
            f"{' or '.join(classes)} may compute something else: export a checkpoint that needs no code"
        )


def check_entries(folder: Path, config: Mapping[str, Any], computed: Mapping[str, Sequence[Any]]) -> None:
    """Raise ExportError unless each entry of config.json that `computed` names has one of its values, the first where it is left out."""
    for name, known in computed.items():
        stated = config.get(name, known[0])
        if stated not in known:
            raise ExportError(
                f"{folder}/config.json says {name} {stated!r}; known is {' or '.join(map(repr, known))}, whose computation is documented"
            )


def check_class(folder: Path, config: Mapping[str, Any], classes: Sequence[str]) -> None:
    """Raise ExportError unless config.json names one of `classes`, and its weights are whole and not quantised."""
    named = config.get("architectures") or []
    if not named or not set(named) <= set(classes):
        stated = f"names the architecture {', '.join(map(str, named))}" if named else "names no architecture"
        raise ExportError(
            f"{folder}/config.json {stated} in `architectures`; rerankers of type {config.get('model_type')!r} are known as "
            f"{' or '.join(classes)}: export a checkpoint of that class"
        )
    if config.get("quantization_config"):
        raise ExportError(
            f"{folder} has quantised weights (quantization_config in config.json): export the checkpoint that they were made of"
        )
    if config.get("transformers_weights"):
        raise ExportError(
            f"{folder}/config.json names its weights (transformers_weights): rename that file to model.safetensors, remove the entry"
        )
    if (folder / ADAPTER).is_file():
        raise ExportError(f"{folder} holds an adapter ({ADAPTER}): merge it into its base model (peft: merge_and_unload) and export that")


def check_positions(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise ExportError unless positions are absolute, the only ones that transformers 5 computes for the families of BERT."""
    kind = config.get("position_embedding_type", "absolute")
    if kind != "absolute":
        raise ExportError(
            f"{folder}/config.json says position_embedding_type {kind!r}; transformers' class knows absolute ones alone and would "
            "score with those: export a checkpoint with absolute positions"
        )


def check_no_prompt(folder: Path) -> None:
    """Raise ExportError where sentence-transformers would put a prompt before the texts, which transformers' tokenizer does not."""
    name = sentence_transformers(folder, PROMPTS).get("default_prompt_name")
    if name is not None:
        raise ExportError(
            f"{folder}/{PROMPTS} puts the prompt {name!r} before each pair, which is not known for this family: remove default_prompt_name "
            "if the model is to be scored without it"
        )


def query_prompt(folder: Path) -> str:
    """The prompt that sentence-transformers puts before each query of a CrossEncoder that takes texts; empty where there is none."""
    settings = sentence_transformers(folder, PROMPTS)
    name = settings.get("default_prompt_name")
    return "" if name is None else str(settings.get("prompts", {}).get(name) or "")


def joins_texts(folder: Path, config: Mapping[str, Any]) -> bool:
    """Whether sentence-transformers trained the checkpoint as a CrossEncoder of texts, which its tokenizer joins without a prompt."""
    trained = "sentence_transformers" in config or sentence_transformers(folder, PROMPTS).get("model_type") == "CrossEncoder"
    return trained and not takes_messages(folder)


def takes_messages(folder: Path) -> bool:
    """Whether sentence-transformers puts the texts into the tokenizer's chat template, as the checkpoint's settings state it."""
    return "message" in (sentence_transformers(folder, TRANSFORMER).get("modality_config") or {})


def logit_score(folder: Path) -> dict[str, Any] | None:
    """The entries of sentence-transformers' module LogitScore, which says what tokens a language model answers with; None without one."""
    return next((read(path / "config.json") for kind, path in modules(folder) if kind == "LogitScore"), None)


def modules(folder: Path, library: str = "") -> list[tuple[str, Path]]:
    """The modules of sentence-transformers' list, in its order: the last part of the name of its class, and its folder.

    A class outside of `library` keeps its whole name.
    """
    content = _parsed(folder / MODULES)
    entries = [entry for entry in content if isinstance(entry, dict)] if isinstance(content, list) else []
    listed = [(str(entry.get("type", "")), folder / str(entry.get("path", ""))) for entry in entries]
    return [(kind.rpartition(".")[2] if kind.startswith(library) else kind, path) for kind, path in listed]


def activation(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The name of the function that sentence-transformers applies to the logits, as the checkpoint states it; None where it states none."""
    older = config.get("sentence_transformers") or {}
    own = sentence_transformers(folder, PROMPTS).get("activation_fn") or older.get("activation_fn")
    stated = own or config.get("sbert_ce_default_activation_function")
    return None if stated is None else str(stated)


def sentence_transformers(folder: Path, name: str) -> dict[str, Any]:
    """The entries of one of sentence-transformers' files, which it reads only beside its list of modules."""
    return read(folder / name) if (folder / MODULES).is_file() else {}


def read(file: Path) -> dict[str, Any]:
    """The object in a JSON file, empty where there is no such file."""
    content = _parsed(file)
    return content if isinstance(content, dict) else {}


def _parsed(file: Path) -> Any:
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(f"{file} is no valid JSON ({error}): download the checkpoint again") from None
