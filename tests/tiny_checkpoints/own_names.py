"""Tiny encoders with weights under their authors' names: Alibaba's "new", and Jina's XLM-RoBERTa.

Names, shapes and entries of config.json are written out as they were read in modeling.py of Alibaba-NLP/new-impl and of
jinaai/xlm-roberta-flash-implementation.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.tiny_checkpoints.dimensions import SPREAD
from tests.tiny_checkpoints.tokenizers import LIMIT, ROBERTA, ROBERTA_JOINS, ROBERTA_SPECIAL, spaced

WIDTH, WIDER, LAYERS, HEADS = 48, 96, 2, 4
CONFIG: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": WIDER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "type_vocab_size": 1,
    "id2label": {"0": "LABEL_0"},
}


def alibaba(folder: Path) -> None:
    tokenizer = _tokenizer(folder)
    shapes = {
        "new.embeddings.word_embeddings": (len(tokenizer), WIDTH, None),
        "new.embeddings.token_type_embeddings": (1, WIDTH, None),
        "new.embeddings.LayerNorm": (WIDTH,),
        "new.pooler.dense": (WIDTH, WIDTH),
        "classifier": (1, WIDTH),
    }
    for layer in (f"new.encoder.layer.{number}" for number in range(LAYERS)):
        shapes[f"{layer}.attention.qkv_proj"] = (3 * WIDTH, WIDTH)
        shapes[f"{layer}.attention.o_proj"] = (WIDTH, WIDTH)
        shapes[f"{layer}.mlp.up_gate_proj"] = (2 * WIDER, WIDTH, None)
        shapes[f"{layer}.mlp.down_proj"] = (WIDTH, WIDER)
        shapes[f"{layer}.attn_ln"] = shapes[f"{layer}.mlp_ln"] = (WIDTH,)
    own = {
        "model_type": "new",
        "architectures": ["NewForSequenceClassification"],
        "auto_map": {"AutoModelForSequenceClassification": "Alibaba-NLP/new-impl--modeling.NewForSequenceClassification"},
        "max_position_embeddings": LIMIT,
        "position_embedding_type": "rope",
        "rope_theta": 20000,
        "rope_scaling": {"factor": 8.0, "type": "ntk"},
        "layer_norm_type": "layer_norm",
        "logn_attention_scale": False,
        "logn_attention_clip1": False,
        "pack_qkv": True,
    }
    _save(folder, shapes, {**CONFIG, **own, "vocab_size": len(tokenizer)})


def jina(folder: Path) -> None:
    tokenizer = _tokenizer(folder)
    shapes = {
        "roberta.embeddings.word_embeddings": (len(tokenizer), WIDTH, None),
        "roberta.embeddings.position_embeddings": (LIMIT + 2, WIDTH, None),
        "roberta.embeddings.token_type_embeddings": (1, WIDTH, None),
        "roberta.emb_ln": (WIDTH,),
        "classifier.dense": (WIDTH, WIDTH),
        "classifier.out_proj": (1, WIDTH),
    }
    for layer in (f"roberta.encoder.layers.{number}" for number in range(LAYERS)):
        shapes[f"{layer}.mixer.Wqkv"] = (3 * WIDTH, WIDTH)
        shapes[f"{layer}.mixer.out_proj"] = (WIDTH, WIDTH)
        shapes[f"{layer}.mlp.fc1"] = (WIDER, WIDTH)
        shapes[f"{layer}.mlp.fc2"] = (WIDTH, WIDER)
        shapes[f"{layer}.norm1"] = shapes[f"{layer}.norm2"] = (WIDTH,)
    own = {
        "model_type": "xlm-roberta",
        "architectures": ["XLMRobertaForSequenceClassification"],
        "auto_map": {
            "AutoConfig": "configuration_xlm_roberta.XLMRobertaFlashConfig",
            "AutoModelForSequenceClassification": "modeling_xlm_roberta.XLMRobertaForSequenceClassification",
        },
        "max_position_embeddings": LIMIT + 2,
        "position_embedding_type": "absolute",
        "use_flash_attn": True,
        "use_cache": False,
        "emb_pooler": None,
        "output_past": True,
        "num_labels": 1,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.40.0",
    }
    _save(folder, shapes, {**CONFIG, **own, "vocab_size": len(tokenizer)})


def _tokenizer(folder: Path) -> Any:
    return spaced(folder, "unigram", ROBERTA_SPECIAL, *ROBERTA_JOINS, **ROBERTA)


def _save(folder: Path, shapes: dict[str, tuple[int | None, ...]], config: dict[str, Any]) -> None:
    """Weights of these shapes, drawn at random, each with a bias; a None at the end of a shape stands for no bias."""
    torch.manual_seed(7)
    tensors = {}
    for name, stated in shapes.items():
        shape = [size for size in stated if size is not None]
        tensors[f"{name}.weight"] = torch.randn(shape) * SPREAD + (1.0 if len(shape) == 1 else 0.0)
        if None not in stated:
            tensors[f"{name}.bias"] = torch.randn(shape[0]) * SPREAD
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
