"""Alibaba's encoder ("new", gte-multilingual-reranker), loaded as transformers' GteForSequenceClassification.

Read in Alibaba-NLP/new-impl (modeling.py, configuration.py) and in transformers: its conversion_mapping has the names of the weights, its
pull request 48416 says how the scaling of rotary positions ("ntk") is written there. Code that comes with a checkpoint is not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import GteConfig, GteForSequenceClassification

from scripts.export import declared
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families import encoder
from scripts.export.own_names import OwnNames
from scripts.export.parts import fill_from

# By the model_type of config.json: Alibaba's, and that of a checkpoint which was saved for transformers.
CLASSES = {"new": "NewForSequenceClassification", "gte": "GteForSequenceClassification"}
NAMES = OwnNames(
    renamed={
        r"^(new|gte)\.": "",
        r"^(?=embeddings\.|encoder\.|layers\.|pooler\.)": "gte.",
        r"\bencoder\.layer\.": "layers.",
        r"\battention\.(?=[qkvo]_proj\.)": "self_attn.",
        r"\battn_ln\.": "post_attention_layernorm.",
        r"\bmlp_ln\.": "post_mlp_layernorm.",
    },
    split={
        "attention.qkv_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "mlp.up_gate_proj": ("mlp.up_proj", "mlp.gate_proj"),
    },
)
# Entries that change the score, each with its only supported value, Alibaba's default.
COMPUTED: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("rope",),
    "layer_norm_type": ("layer_norm",),
    "logn_attention_scale": (False,),
}
# Alibaba's defaults where they differ from those of transformers' class.
DEFAULTS = {"vocab_size": 30528, "max_position_embeddings": 2048, "pad_token_id": None}
KEPT = (
    *DEFAULTS,
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "type_vocab_size", "layer_norm_eps"),
    *("bos_token_id", "eos_token_id", "id2label", "label2id"),
)
THETA = 10_000.0  # Alibaba's default
HARMLESS = {**encoder.HARMLESS, r"rotary_emb\.": "computed from config.json"}


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The classifier in `folder`. Raises ExportError for entries of config.json that are not known, and weights that are not whole."""
    declared.check_class(folder, config, [CLASSES[family]])
    declared.check_tokenizer(folder, [CLASSES[family]])
    make: Any = GteConfig
    own = make(**_converted(folder, config)) if family == "new" else make.from_pretrained(folder)
    model: Any = GteForSequenceClassification(own)
    model.eval()
    fill_from(model, folder, HARMLESS, NAMES.weights)
    return encoder.assembled(folder, config, family, model)


def _converted(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Alibaba's entries for transformers' class."""
    declared.check_entries(folder, config, COMPUTED)
    kept = {name: config[name] for name in KEPT if name in config}
    size = int(config.get("hidden_size", 768)) // int(config.get("num_attention_heads", 12))
    return {**DEFAULTS, **kept, "rope_parameters": _rotary(folder, config, size)}


def _rotary(folder: Path, config: dict[str, Any], size: int) -> dict[str, Any]:
    """The rotary settings of heads of `size`. The fixed "ntk" scaling multiplies the base, and divides all frequencies by one number."""
    theta, scaling = float(config.get("rope_theta", THETA)), config.get("rope_scaling")
    if not scaling:
        return {"rope_type": "default", "rope_theta": theta}
    factor = scaling.get("factor")
    if scaling.get("type") != "ntk" or scaling.get("mixed_b") is not None or not isinstance(factor, int | float) or factor <= 1:
        raise ExportError(f"{folder}/config.json says rope_scaling {scaling}; known is the type 'ntk' with a factor above 1 and no mixed_b")
    return {"rope_type": "linear", "rope_theta": theta * factor, "factor": factor ** (2 / size)}
