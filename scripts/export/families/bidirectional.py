"""Decoders that read both ways: NVIDIA's llama_bidirec rerankers, and Mistral ones of the same kind.

Read in NVIDIA-NeMo/Automodel, models/llama_bidirectional: every token sees every other one, the mean over all tokens goes through a head
without bias at the checkpoint's root, and the logit is divided by a temperature. Their code that comes with a checkpoint is not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    LlamaConfig,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
    PreTrainedTokenizerFast,
)

from scripts.export import declared
from scripts.export.architecture import architecture
from scripts.export.checkpoint import Checkpoint, Encoded, ExportError
from scripts.export.labels import read_labels
from scripts.export.loading import BUFFERS, load_whole
from scripts.export.prompt import Prompt, as_pair_encoding
from scripts.export.tokenizer import load as load_tokenizer
from scripts.export.tokenizer import pad_id

# transformers' classes whose weights have the same names and shapes; their own pass, which is causal, is not used.
MODEL_TYPES: dict[str, tuple[Any, Any]] = {
    "llama_bidirec": (LlamaConfig, LlamaForSequenceClassification),
    "mistral_bidirec": (MistralConfig, MistralForSequenceClassification),
}
# What config.json calls them: classes of the code that comes with a checkpoint.
CLASSES = {
    "llama_bidirec": "LlamaBidirectionalForSequenceClassification",
    "mistral_bidirec": "MistralBidirectionalForSequenceClassification",
}
HARMLESS = {**BUFFERS, r"^lm_head\.": "the head of the language model that the reranker was made of"}
# The spaces and line feeds are part of what the models were trained with.
PROMPT = Prompt(before="", query_prefix="question:", query_suffix=" \n \n", passage_prefix=" passage:", after="")
POOLINGS = ("avg", "cls", "last")


class Bidirectional(nn.Module):
    """The decoder with its head, as the graph wants it."""

    def __init__(self, model: Any, score: Tensor, pooling: str, temperature: float) -> None:
        """`model`: the decoder; `score`: its head's direction, FP32 [1, hidden]."""
        super().__init__()
        self.model = model
        self.score = nn.Parameter(score, requires_grad=False)
        self.pooling = pooling
        self.temperature = temperature

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Raw logits, FP32 [batch]. Pooling is in fp32: a sum over thousands of tokens can exceed what fp16 holds."""
        # Positions from 0 on whatever side the padding is; only their differences matter to rotary embeddings.
        positions = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False)
        states = output.last_hidden_state.float()
        weights = attention_mask.unsqueeze(-1).float()
        if self.pooling == "avg":
            pooled = (states * weights).sum(dim=1) / weights.sum(dim=1)
        else:
            place = _last(attention_mask) if self.pooling == "last" else attention_mask.argmax(dim=-1)
            pooled = states[torch.arange(states.shape[0]), place]
        return nn.functional.linear(pooled, self.score)[:, 0] / self.temperature


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The reranker in `folder`. Raises ExportError for another class, a pooling that is not known, and weights that are not whole."""
    declared.check_class(folder, config, [CLASSES[family]])
    pooling, temperature = _head(folder, config)
    make_config, make_model = MODEL_TYPES[family]
    own = make_config(**as_transformers_has_it(config))
    own.is_causal = False  # transformers then draws no causal mask
    classifier: Any = load_whole(make_model, folder, HARMLESS, config=own, attn_implementation="sdpa")
    for layer in classifier.model.layers:
        layer.self_attn.is_causal = False
    score = read_labels(folder, own).logit(classifier.score.weight.detach().T)[None]
    module = Bidirectional(classifier.model, score, pooling, temperature).eval()
    tokenizer = load_tokenizer(folder, PreTrainedTokenizerFast)  # AutoTokenizer would want to know the family
    limit = _limit(own, tokenizer)

    def encode(query: str, passage: str) -> Encoded:
        ids = tokenizer(PROMPT.fill(query, passage), truncation=True, max_length=limit)["input_ids"]
        return Encoded(ids, [0] * len(ids))

    def reference(pair: Encoded) -> float:
        ids = torch.tensor([pair.ids])
        with torch.inference_mode():
            return float(module(ids, torch.ones_like(ids))[0])

    return Checkpoint(
        family=family,
        module=module,
        inputs=("input_ids", "attention_mask"),
        tokenizer=tokenizer,
        pair_encoding=as_pair_encoding(tokenizer, PROMPT),
        max_seq_len=limit,
        vocabulary_size=int(own.vocab_size),
        pad_id=pad_id(tokenizer, own.pad_token_id),
        encode=encode,
        reference=reference,
        architecture=architecture(family, own, config, limit),
    )


def _head(folder: Path, config: dict[str, Any]) -> tuple[str, float]:
    """Pooling and temperature, which transformers' classes do not know; the defaults are those of NVIDIA's code."""
    pooling, temperature = config.get("pooling", "avg"), config.get("temperature", 1.0)
    if pooling not in POOLINGS:
        raise ExportError(f"{folder} pools by {pooling!r}; known are {', '.join(POOLINGS)}")
    if not isinstance(temperature, int | float) or temperature <= 0:
        raise ExportError(f"{folder}/config.json has the temperature {temperature!r}: correct it to a number above 0")
    return pooling, float(temperature)


def _limit(config: Any, tokenizer: Any) -> int:
    """The tokens of a pair. A longer one than the sliding window is not allowed: how a window is meant to slide both ways is not stated."""
    window = getattr(config, "sliding_window", None) or config.max_position_embeddings
    return min(int(config.max_position_embeddings), int(window), int(tokenizer.model_max_length))


def as_transformers_has_it(config: dict[str, Any]) -> dict[str, Any]:
    """The entries for transformers' own class: nothing that leads to the checkpoint's code, rotary settings as transformers 5 has them."""
    left_out = ("model_type", "architectures", "auto_map", "rope_theta", "rope_scaling")
    kept = {key: value for key, value in config.items() if key not in left_out}
    if "rope_theta" in config:
        scaling = config.get("rope_scaling") or {"rope_type": "default"}
        kept["rope_parameters"] = {**scaling, "rope_theta": config["rope_theta"]}
    return kept


def _last(attention_mask: Tensor) -> Tensor:
    """The place of each row's last token, on whatever side the padding is."""
    places = torch.arange(attention_mask.shape[1])
    return (attention_mask * places).argmax(dim=-1)
