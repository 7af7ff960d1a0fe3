"""What a bundle's manifest says of its model's architecture, for the engine that builds the model itself (engines/torch_packed).

There is no entry for a model that needs something which that engine lacks. Knows neither graphs nor weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCALING = ("factor", "high_freq_factor", "low_freq_factor", "original_max_position_embeddings")


def architecture(family: str, config: Any, stored: Mapping[str, Any], max_seq_len: int) -> dict[str, Any] | None:
    """The manifest's entry `architecture` for a model of `family` with pairs of up to `max_seq_len` tokens.

    `config`: transformers' configuration, its defaults filled in. `stored`: config.json as it stands, since transformers drops entries
    that it does not know, a decoder's temperature among them.
    """
    if family == "bert":
        return _bert(config)
    if family in {"llama_bidirec", "mistral_bidirec"}:
        return _bidirectional(config, stored, max_seq_len)
    return None


def vision_language(vision: Any, language: Any, select_layer: int, temperature: float, max_seq_len: int) -> dict[str, Any] | None:
    """The entry for NVIDIA's vision-language rerankers. `select_layer`: of the vision model's hidden states; -1: after the final norm."""
    own = _bidirectional(language, {"temperature": temperature}, max_seq_len)
    if own is None or vision.hidden_act != "gelu_pytorch_tanh":
        return None
    layers = int(vision.num_hidden_layers)
    return {
        "language": own,
        "vision": {
            "layers": select_layer if select_layer >= 0 else layers + 1 + select_layer,
            "heads": vision.num_attention_heads,
            "epsilon": vision.layer_norm_eps,
            "norm": select_layer == -1,
            "patch": vision.patch_size,
        },
    }


def _bert(config: Any) -> dict[str, Any] | None:
    known = config.hidden_act == "gelu" and config.type_vocab_size > 1 and not getattr(config, "is_decoder", False)
    if not known or getattr(config, "position_embedding_type", "absolute") != "absolute":
        return None
    return {"layers": config.num_hidden_layers, "heads": config.num_attention_heads, "epsilon": config.layer_norm_eps}


def _bidirectional(config: Any, stored: Mapping[str, Any], max_seq_len: int) -> dict[str, Any] | None:
    rotary: Mapping[str, Any] = config.rope_parameters
    kind = rotary.get("rope_type", "default")
    biased = getattr(config, "attention_bias", False) or getattr(config, "mlp_bias", False)
    window = getattr(config, "sliding_window", None)
    narrow = window is not None and window < max_seq_len
    partial = rotary.get("partial_rotary_factor", 1.0) != 1.0
    if kind not in {"default", "llama3"} or config.hidden_act != "silu" or biased or narrow or partial:
        return None
    return {
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "key_value_heads": config.num_key_value_heads,
        "head_size": getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        "epsilon": config.rms_norm_eps,
        "theta": float(rotary["rope_theta"]),
        "scaling": {name: rotary[name] for name in SCALING} if kind == "llama3" else None,
        "pooling": str(stored.get("pooling", "avg")),
        "temperature": float(stored.get("temperature", 1.0)),
    }
