"""A tiny checkpoint of the family llama_nemotron_vl_rerank: random weights, and a tokenizer with the tokens of images.

Files and names are those of NVIDIA's checkpoint. The weights are larger than an initialisation's, so that a fault moves a logit visibly:
the other GELU or another epsilon by more than ten times the 1e-4 that is allowed.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, SiglipVisionConfig, SiglipVisionModel

from tests.tiny_checkpoints import LLAMA_3, byte_level

TILE = 64  # pixels of a side: 4 x 4 patches, 4 tokens
TOKENS_PER_TILE = 4
MOST_TILES = 6
LIMIT = 256  # tokens of a pair
BEGIN, PAD, BEFORE, AFTER, PLACEHOLDER = "<|begin_of_text|>", "<|finetune_right_pad_id|>", "<img>", "</img>", "<IMG_CONTEXT>"
SPECIAL = [BEGIN, "<|end_of_text|>", PAD, BEFORE, AFTER, PLACEHOLDER]
VISION: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_channels": 3,
    "image_size": TILE,
    "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
LANGUAGE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
}
# As Llama 3.2's, but for the original length: with that, no pair is long enough for the scaling to matter.
ROTARY: dict[str, Any] = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 24,
}
THETA = 5000.0
# Standard deviations of weights, by the end of their names; the first that fits. What is not named here is SPREAD.
SPREADS = {
    "patch_embedding.weight": 0.1,
    "post_layernorm.weight": 0.05,  # the projector's norm then divides by little more than its epsilon
    "post_layernorm.bias": 0.02,
    "mlp1.0.bias": 0.3,
    "mlp1.1.weight": 0.15,
    "embed_tokens.weight": 1.0,
    "score.weight": 1.0,
}
SPREAD = 0.2
NORMS = ("norm.weight", "layernorm.weight", "layer_norm1.weight", "layer_norm2.weight", "mlp1.0.weight")


def make_checkpoint(folder: Path, *, flat_vision: bool = True) -> Path:
    """Write the checkpoint to `folder` and return that; the same weights each time.

    `flat_vision`: vision weights as transformers has them since 5.6, with one `vision_model` in their names; before, they had two.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_level(folder, LLAMA_3, SPECIAL, f"{BEGIN} $A", None, bos_token=BEGIN, pad_token=PAD)
    tokenizer.model_max_length = LIMIT
    tokenizer.save_pretrained(folder)
    vision = SiglipVisionModel(SiglipVisionConfig(**VISION))
    rotary = {**ROTARY, "rope_theta": THETA}
    language = LlamaModel(LlamaConfig(vocab_size=len(tokenizer), pad_token_id=None, rope_parameters=rotary, **LANGUAGE))
    merged = VISION["hidden_size"] * 4
    hidden = LANGUAGE["hidden_size"]
    projector = nn.Sequential(nn.LayerNorm(merged), nn.Linear(merged, hidden), nn.GELU(), nn.Linear(hidden, hidden))
    prefix = "model.vision_model." if flat_vision else "model.vision_model.vision_model."
    parts = {prefix: vision, "model.language_model.": language, "model.mlp1.": projector}
    weights = {start + name: weight for start, part in parts.items() for name, weight in part.state_dict().items()}
    weights["score.weight"] = torch.empty(1, hidden)
    generator = torch.Generator().manual_seed(25)
    save_file({name: _drawn(name, weight, generator) for name, weight in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    processor = {"max_input_tiles": MOST_TILES, "use_thumbnail": True, "num_image_token": TOKENS_PER_TILE, "prompt_template": "v1"}
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2))
    (folder / "config.json").write_text(json.dumps(_config(tokenizer), indent=2))
    return folder


def _drawn(name: str, weight: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers for the weight of that name: around 1 for norms but the last of the vision tower, else around 0."""
    spread = next((spread for end, spread in SPREADS.items() if name.endswith(end)), SPREAD)
    drawn = torch.randn(weight.shape, generator=generator) * spread
    return drawn + 1.0 if name.endswith(NORMS) and not name.endswith("post_layernorm.weight") else drawn


def _config(tokenizer: Any) -> dict[str, Any]:
    language = {
        **LANGUAGE,
        "model_type": "llama_bidirec",
        "architectures": ["LlamaBidirectionalModel"],
        "vocab_size": len(tokenizer),
        "rope_theta": THETA,
        "rope_scaling": ROTARY,
        "pooling": "avg",
    }
    return {
        "model_type": "llama_nemotron_vl_rerank",
        "architectures": ["LlamaNemotronVLForSequenceClassification"],
        "auto_map": {"AutoConfig": "configuration_llama_nemotron_vl.LlamaNemotronVLConfig"},
        "vision_config": VISION,
        "llm_config": language,
        "force_image_size": TILE,
        "dynamic_image_size": True,
        "downsample_ratio": 0.5,
        "select_layer": -1,
        "ps_version": "v2",
        "use_thumbnail": True,
        "max_input_tiles": 4,
        "pooling": "avg",
        "prompt_template": "v1",
        "bidirectional_attention": True,
        "q_max_length": 64,
        "p_max_length": LIMIT,
        "img_context_token_id": tokenizer.convert_tokens_to_ids(PLACEHOLDER),
        "temperature": 0.5,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "torch_dtype": "float32",
    }
