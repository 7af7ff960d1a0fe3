"""Tiny decoders: rerankers that read both ways, classifiers at the last token, and language models that are asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Gemma2Config,
    Gemma2ForSequenceClassification,
    Gemma3TextConfig,
    Gemma3TextForSequenceClassification,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.tiny_checkpoints.dimensions import DECODER, LANGUAGE_MODEL_LIMIT, LONGER
from tests.tiny_checkpoints.tokenizers import LLAMA_3, MXBAI, QWEN, TEXTS, byte_level, spaced

WINDOW = 24  # tokens that the sliding layers see


def _bidirectional(folder: Path, family: str, tokenizer: Any, make_config: Callable[..., Any], make_model: Callable[..., Any]) -> None:
    """A sequence classifier of transformers, whose weights are laid out as NVIDIA's are; only config.json is its own."""
    torch.manual_seed(7)
    config = make_config(vocab_size=len(tokenizer), num_labels=1, pad_token_id=0, **DECODER)
    make_model(config).save_pretrained(folder)
    path = folder / "config.json"
    content = json.loads(path.read_text())
    name = content["architectures"][0].replace("For", "BidirectionalFor")
    path.write_text(json.dumps({**content, "model_type": family, "architectures": [name], "pooling": "avg", "temperature": 0.5}))


def llama_bidirec(folder: Path) -> None:
    _bidirectional(folder, "llama_bidirec", _llama_3(folder), LlamaConfig, LlamaForSequenceClassification)


def mistral_bidirec(folder: Path) -> None:
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = spaced(folder, "prepended", special, "<s> $A", None, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    _bidirectional(folder, "mistral_bidirec", tokenizer, MistralConfig, MistralForSequenceClassification)


def llama(folder: Path) -> None:
    tokenizer = _longer(folder, _llama_3(folder, "<|begin_of_text|> $A <|begin_of_text|>:1 $B:1", pad_token="<|eot_id|>"))
    make: Any = LlamaConfig
    _classifier(folder, LlamaForSequenceClassification, make(vocab_size=len(tokenizer), pad_token_id=1, num_labels=1, **LONGER))


def qwen2(folder: Path) -> None:
    """A language model, as mxbai-rerank-v2 is."""
    tokenizer = _qwen(folder, [*TEXTS, MXBAI])
    _language_model(folder, Qwen2ForCausalLM, Qwen2Config(vocab_size=len(tokenizer), **LONGER))


def qwen3(folder: Path) -> None:
    tokenizer = _qwen(folder, TEXTS)
    _language_model(folder, Qwen3ForCausalLM, Qwen3Config(vocab_size=len(tokenizer), **LONGER))


def gemma(folder: Path) -> None:
    tokenizer = _gemma_tokenizer(folder)
    _language_model(folder, GemmaForCausalLM, GemmaConfig(vocab_size=len(tokenizer), pad_token_id=0, **LONGER))


def gemma2(folder: Path) -> None:
    """With attention that looks back a few tokens in every other layer, and limited scores of attention."""
    limits: dict[str, Any] = {"sliding_window": WINDOW, "attn_logit_softcapping": 2.0, "query_pre_attn_scalar": 12}
    make: Any = Gemma2Config
    config = make(vocab_size=len(_gemma_tokenizer(folder)), pad_token_id=0, num_labels=1, **LONGER, **limits)
    _classifier(folder, Gemma2ForSequenceClassification, config)


def gemma3(folder: Path) -> None:
    """Likewise, in all layers but the last, which have rotary embeddings of their own."""
    layers: dict[str, Any] = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": WINDOW, "query_pre_attn_scalar": 12}
    make: Any = Gemma3TextConfig
    config = make(vocab_size=len(_gemma_tokenizer(folder)), pad_token_id=0, num_labels=1, **LONGER, **layers)
    _classifier(folder, Gemma3TextForSequenceClassification, config)


def _llama_3(folder: Path, pair: str | None = None, **roles: str) -> Any:
    special = ["<|begin_of_text|>", "<|eot_id|>"]
    return byte_level(folder, LLAMA_3, special, "<|begin_of_text|> $A", pair, bos_token=special[0], eos_token=special[1], **roles)


def _qwen(folder: Path, texts: list[str]) -> Any:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = byte_level(folder, QWEN, special, "$A", None, texts=texts, pad_token=special[0], eos_token=special[2])
    return _longer(folder, tokenizer)


def _gemma_tokenizer(folder: Path) -> Any:
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    roles = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return _longer(folder, spaced(folder, "plain", special, "<bos> $A", "<bos> $A <bos>:1 $B:1", **roles))


def _longer(folder: Path, tokenizer: Any) -> Any:
    tokenizer.model_max_length = LANGUAGE_MODEL_LIMIT
    tokenizer.save_pretrained(folder)
    return tokenizer


def _language_model(folder: Path, make: Any, config: Any) -> None:
    torch.manual_seed(7)
    make(config).save_pretrained(folder)


def _classifier(folder: Path, make: Any, config: Any) -> None:
    """As a CrossEncoder of sentence-transformers, whose config.json says so."""
    torch.manual_seed(7)
    config.sentence_transformers = {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "5.4.0"}
    make(config).save_pretrained(folder)
