"""The checkpoint of a random model: weights of a fixed seed, and a tokenizer trained on the benchmark's texts. Knows files, no server.

Logits of random weights lie close together and far from 0; the head is changed until they spread around 0, so that a wrong score shows.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedTokenizerFast

from scripts.benchmark.random_models import BYTES, LLAMA, QWEN, UNIGRAM, RandomModel
from scripts.benchmark.workplace import Workplace
from scripts.export.families import bidirectional
from scripts.export.families.original import QWEN3_PROMPT

_DONE = "recipe"
_VOCABULARY = 24_000  # entries in use; the embeddings have the published number of rows
_SEED = 7
_SPREAD = 2.0  # standard deviation of the logits
_WEIGHTS = 0.04  # standard deviation of the weights: twice the usual, so that texts differ more
_PAIRS = 12
_PROMPTS = {LLAMA: bidirectional.PROMPT, QWEN: QWEN3_PROMPT}
_LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {BYTES: None, LLAMA: _LLAMA_3, QWEN: _LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")}
# Special tokens by id, the template of a text and of a pair, and the roles that transformers wants named.
_SPECIAL: dict[str, tuple[list[str], str, str | None, dict[str, str]]] = {
    UNIGRAM: (
        ["<s>", "<pad>", "</s>", "<unk>"],
        "<s> $A </s>",
        "<s> $A </s> </s> $B </s>",
        {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>"},
    ),
    BYTES: (
        ["[PAD]", "[CLS]", "[SEP]", "[UNK]"],
        "[CLS] $A [SEP]",
        "[CLS] $A [SEP] $B [SEP]",
        {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"},
    ),
    LLAMA: (
        ["<|begin_of_text|>", "<|eot_id|>"],
        "<|begin_of_text|> $A",
        None,
        {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|eot_id|>"},
    ),
    QWEN: (
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        "$A",
        None,
        {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"},
    ),
}
_ANSWERS = ["yes\nno"] * 2000  # so that each is a token


def random_checkpoint(model: RandomModel, texts: Sequence[str], workplace: Workplace) -> Path:
    """The folder of the model's checkpoint, made if the workplace lacks it: gigabytes and a minute for the largest."""
    folder = workplace.folder("checkpoints") / model.name
    if _made(folder, model):
        return folder
    print(f"Making {model.name} in the dimensions of {model.like}, with random weights ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tokenizer = trained_tokenizer(model, texts, folder)
    _write_weights(model, tokenizer, texts, folder)
    (folder / _DONE).write_text(model.recipe, encoding="utf-8")
    return folder


def vllm_checkpoint(model: RandomModel, folder: Path, workplace: Workplace) -> Path:
    """The same checkpoint as vLLM reads it: the weights are hard links, config.json has vLLM's entries."""
    copy = workplace.folder("checkpoints") / f"{model.name}-vllm"
    if not _made(copy, model):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy, copy_function=os.link)
        for name in ("config.json", _DONE):  # these change: they must not be links
            (copy / name).unlink()
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (copy / "config.json").write_text(json.dumps({**config, **model.for_vllm}), encoding="utf-8")
        if model.template:
            (copy / "pair.jinja").write_text(model.template, encoding="utf-8")
        (copy / _DONE).write_text(model.recipe, encoding="utf-8")
    return copy


def _made(folder: Path, model: RandomModel) -> bool:
    return (folder / _DONE).is_file() and (folder / _DONE).read_text(encoding="utf-8") == model.recipe


def trained_tokenizer(model: RandomModel, texts: Sequence[str], folder: Path, size: int = _VOCABULARY) -> Any:
    """A tokenizer of the model's kind, trained on `texts` and saved to `folder`."""
    special, single, pair, roles = _SPECIAL[model.tokenizer]
    tokenizer = Tokenizer(models.BPE())
    spaced, split = model.tokenizer == UNIGRAM, _SPLITS.get(model.tokenizer)
    if spaced:
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    else:
        before = [pre_tokenizers.Split(Regex(split), "isolated")] if split else []
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not split)])
        tokenizer.decoder = decoders.ByteLevel()
    alphabet = [] if spaced else pre_tokenizers.ByteLevel.alphabet()
    trainer: Any = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([*texts, *_ANSWERS], trainer)
    if spaced:
        # Its own training gives other scores each time; a token's rank stands for how frequent it is.
        ranked = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
        tokenizer.model = models.Unigram([(token, -math.log(rank + 10)) for token, rank in ranked], special.index("<unk>"), False)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    if single != "$A":
        known = [(token, tokenizer.token_to_id(token)) for token in special]
        tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=known)
    make: Any = PreTrainedTokenizerFast
    whole = make(tokenizer_object=tokenizer, model_max_length=model.longest, **roles)
    whole.save_pretrained(folder)
    _change(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})  # the name that transformers 4 knows, too
    return whole


def _write_weights(model: RandomModel, tokenizer: Any, texts: Sequence[str], folder: Path) -> None:
    """Write the weights in bf16, as most rerankers are published, and config.json."""
    config = AutoConfig.for_model(model.family, num_labels=1, initializer_range=_WEIGHTS, **model.config)
    torch.manual_seed(_SEED)
    make: Any = AutoModelForCausalLM if model.tokenizer == QWEN else AutoModelForSequenceClassification
    made = make.from_config(config).eval()
    with torch.no_grad():
        _spread(model, made, tokenizer, list(_rows(model, tokenizer, texts)))
    made.to(torch.bfloat16).save_pretrained(folder)
    if model.as_stored:
        _change(folder / "config.json", model.as_stored)


def _rows(model: RandomModel, tokenizer: Any, texts: Sequence[str]) -> Iterator[Tensor]:
    """Pairs as the model reads them, INT64 [1, tokens] each."""
    for number in range(_PAIRS):
        query, passage = (" ".join(texts[(number * 7 + own) % len(texts)].split()[:words]) for own, words in ((0, 12), (3, 80)))
        prompt = _PROMPTS.get(model.tokenizer)
        encoded = tokenizer(prompt.fill(query, passage)) if prompt else tokenizer(query, passage)
        yield torch.tensor([encoded["input_ids"]])


def _spread(model: RandomModel, made: Any, tokenizer: Any, rows: Sequence[Tensor]) -> None:
    """Change the head so that the logits of `rows` have the mean 0 and the standard deviation _SPREAD.

    Elsewhere they would be so far from 0 that a server's sigmoids are all 1.
    """
    head = made.get_parameter(model.head)
    if model.tokenizer == QWEN:
        states = torch.cat([made.model(row).last_hidden_state[:, -1] for row in rows])
        embeddings, vocabulary = made.get_input_embeddings().weight, tokenizer.get_vocab()
        direction = embeddings[vocabulary["yes"]] - embeddings[vocabulary["no"]]
        embeddings[vocabulary["yes"]] -= _along(direction, states.mean(0))
        direction = embeddings[vocabulary["yes"]] - embeddings[vocabulary["no"]]
        head.mul_(_SPREAD / (states @ direction).std())
    else:
        states = torch.cat([_pooled(model, made, row) for row in rows])
        head[0] -= _along(head[0], states.mean(0))
        head.mul_(_SPREAD / (states @ head[0]).std())


def _pooled(model: RandomModel, made: Any, row: Tensor) -> Tensor:
    """What the head reads of a row, FP32 [1, width]."""
    if model.tokenizer == LLAMA:
        made.config.is_causal = False  # it reads both ways, as NVIDIA's do
        for layer in made.model.layers:
            layer.self_attn.is_causal = False
        return made.model(row).last_hidden_state.mean(1)  # type: ignore[no-any-return]
    seen: list[Tensor] = []
    watch = made.get_submodule(model.head.rpartition(".")[0]).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    made(input_ids=row)
    watch.remove()
    return seen[0].reshape(1, -1)


def _along(direction: Tensor, mean: Tensor) -> Tensor:
    """The part of `direction` along `mean`."""
    return (direction @ mean) / (mean @ mean) * mean


def _change(path: Path, entries: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **entries}), encoding="utf-8")
