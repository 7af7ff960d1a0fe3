"""A checkpoint of the family llama_nemotron_vl_rerank: random weights, and a tokenizer with the tokens of images.

Files and names are those of NVIDIA's checkpoint. The weights of the tiny one are larger than an initialisation's, so that a fault moves a
logit visibly: the other GELU or another epsilon by more than ten times the 1e-4 that is allowed. REAL has the dimensions of NVIDIA's:
1.68 billion weights in bf16.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel, SiglipVisionConfig, SiglipVisionModel

from tests.tiny_checkpoints.tokenizers import LLAMA_3, byte_level

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
# Standard deviations of weights, by the end of their names; the first that fits.
SPREADS = {
    "patch_embedding.weight": 0.1,
    "post_layernorm.weight": 0.05,  # the projector's norm then divides by little more than its epsilon
    "post_layernorm.bias": 0.02,
    "mlp1.0.bias": 0.3,
    "mlp1.1.weight": 0.15,
    "embed_tokens.weight": 1.0,
    "score.weight": 1.0,
}
NORMS = ("norm.weight", "layernorm.weight", "layer_norm1.weight", "layer_norm2.weight", "mlp1.0.weight")


@dataclass(frozen=True)
class Sizes:
    """Entries of the configurations, tokens of a pair, and standard deviations of the weights: `spread` for those not named."""

    vision: dict[str, Any]
    language: dict[str, Any]
    rotary: dict[str, Any]
    theta: float
    limit: int
    spreads: dict[str, float]
    spread: float
    kind: torch.dtype = torch.float32


TINY = Sizes(VISION, LANGUAGE, ROTARY, 5000.0, LIMIT, SPREADS, 0.2)
REAL = Sizes(
    vision={
        **VISION,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 512,
    },
    language={
        **LANGUAGE,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 128_267,
        "max_position_embeddings": 131_072,
    },
    rotary={**ROTARY, "original_max_position_embeddings": 8192},
    theta=500_000.0,
    limit=10_240,
    spreads={"score.weight": 1.0},
    spread=0.02,
    kind=torch.bfloat16,
)


def make_checkpoint(folder: Path, *, flat_vision: bool = True, sizes: Sizes = TINY) -> Path:
    """Write the checkpoint to `folder` and return that; the same weights each time.

    `flat_vision`: vision weights as transformers has them since 5.6, with one `vision_model` in their names; before, they had two.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_level(folder, LLAMA_3, SPECIAL, f"{BEGIN} $A", None, bos_token=BEGIN, pad_token=PAD)
    tokenizer.model_max_length = sizes.limit
    tokenizer.save_pretrained(folder)
    config = _config(tokenizer, sizes)
    weights = _shapes(config, "model.vision_model." if flat_vision else "model.vision_model.vision_model.")
    generator = torch.Generator().manual_seed(25)
    drawn = {name: _drawn(name, shape, generator, sizes) for name, shape in weights.items()}
    save_file(drawn, folder / "model.safetensors", {"format": "pt"})
    size, patch = sizes.vision["image_size"], sizes.vision["patch_size"]
    tokens = (size // patch // 2) ** 2
    processor = {"max_input_tiles": MOST_TILES, "use_thumbnail": True, "num_image_token": tokens, "prompt_template": "v1"}
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2))
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    return folder


def _shapes(config: dict[str, Any], vision_prefix: str) -> dict[str, torch.Size]:
    """The shape of each weight by its name."""
    own = {name: value for name, value in config["llm_config"].items() if name not in {"model_type", "architectures", "rope_scaling"}}
    make_vision: Any = SiglipVisionModel
    make_language: Any = LlamaModel
    with torch.device("meta"):
        vision = make_vision(SiglipVisionConfig(**config["vision_config"]))
        language = make_language(LlamaConfig(**own))
        merged, hidden = 4 * vision.config.hidden_size, language.config.hidden_size
        projector = nn.Sequential(nn.LayerNorm(merged), nn.Linear(merged, hidden), nn.GELU(), nn.Linear(hidden, hidden))
    parts = {vision_prefix: vision, "model.language_model.": language, "model.mlp1.": projector}
    weights = {start + name: weight.shape for start, part in parts.items() for name, weight in part.state_dict().items()}
    return {**weights, "score.weight": torch.Size([1, hidden])}


def _drawn(name: str, shape: torch.Size, generator: torch.Generator, sizes: Sizes) -> Tensor:
    """Random numbers for the weight of that name: around 1 for norms but the tiny vision tower's last, else around 0."""
    spread = next((spread for end, spread in sizes.spreads.items() if name.endswith(end)), None)
    drawn = torch.randn(shape, generator=generator).mul_(sizes.spread if spread is None else spread)
    return (drawn.add_(1.0) if name.endswith(NORMS) and spread is None else drawn).to(sizes.kind)


def _config(tokenizer: Any, sizes: Sizes) -> dict[str, Any]:
    language = {
        "vocab_size": len(tokenizer),
        **sizes.language,
        "model_type": "llama_bidirec",
        "architectures": ["LlamaBidirectionalModel"],
        "rope_theta": sizes.theta,
        "rope_scaling": sizes.rotary,
        "pooling": "avg",
    }
    return {
        "model_type": "llama_nemotron_vl_rerank",
        "architectures": ["LlamaNemotronVLForSequenceClassification"],
        "auto_map": {"AutoConfig": "configuration_llama_nemotron_vl.LlamaNemotronVLConfig"},
        "vision_config": sizes.vision,
        "llm_config": language,
        "force_image_size": sizes.vision["image_size"],
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
        "p_max_length": sizes.limit,
        "img_context_token_id": tokenizer.convert_tokens_to_ids(PLACEHOLDER),
        "temperature": 0.5,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "torch_dtype": str(sizes.kind).removeprefix("torch."),
    }
