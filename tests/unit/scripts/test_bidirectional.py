"""NVIDIA's bidirectional Llama against a forward pass written from its description, however its config writes rotary settings."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file
from torch.nn.functional import linear, silu, softmax

from scripts.export import families
from tests import tiny_checkpoints

# As Llama 3.2's config.json has it, but for the original length: the tiny model's limit is shorter than that.
LLAMA_3_2 = {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 24, "rope_type": "llama3"}
THETA = 5000.0
PAIRS = [
    ("which way should i go?", "two roads diverged in a yellow wood"),
    ("x", ""),
    ("why 1234?", "then took the other, " * 9),
]


def frequencies(size: int, scaling: dict[str, Any] | None, theta: float) -> torch.Tensor:
    """Radians per position, [size / 2]; Llama 3's scaling slows down what turns less than once in the original length."""
    turning = []
    for place in range(0, size, 2):
        frequency = theta ** (-place / size)
        if scaling:
            original, low, high = scaling["original_max_position_embeddings"], scaling["low_freq_factor"], scaling["high_freq_factor"]
            turns = original * frequency / (2 * math.pi)
            share = min(max((turns - low) / (high - low), 0.0), 1.0)
            frequency = (1 - share) * frequency / scaling["factor"] + share * frequency
        turning.append(frequency)
    return torch.tensor(turning)


def turn(states: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Rotates [heads, tokens, size] by [tokens, size / 2]: the first half of a head with its second half."""
    first, second = states.chunk(2, dim=-1)
    return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], dim=-1)


def norm(states: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    return weight * states / (states.square().mean(dim=-1, keepdim=True) + epsilon).sqrt()


def logit(folder: Path, ids: list[int], scaling: dict[str, Any] | None, theta: float) -> float:
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    heads, groups, epsilon = config["num_attention_heads"], config["num_key_value_heads"], config["rms_norm_eps"]
    size = config["head_dim"]
    angles = torch.arange(len(ids))[:, None] * frequencies(size, scaling, theta)
    states = weights["model.embed_tokens.weight"][ids]
    for number in range(config["num_hidden_layers"]):
        layer = f"model.layers.{number}."
        own = {name.removeprefix(layer).removesuffix(".weight"): value for name, value in weights.items() if name.startswith(layer)}
        read = norm(states, own["input_layernorm"], epsilon)
        query, key, value = (
            linear(read, own[f"self_attn.{kind}_proj"]).view(len(ids), -1, size).transpose(0, 1) for kind in ("q", "k", "v")
        )
        key, value = (part.repeat_interleave(heads // groups, dim=0) for part in (turn(key, angles), value))
        mixed = softmax(turn(query, angles) @ key.transpose(1, 2) / math.sqrt(size), dim=-1) @ value  # no mask: all see all
        states = states + linear(mixed.transpose(0, 1).reshape(len(ids), -1), own["self_attn.o_proj"])
        read = norm(states, own["post_attention_layernorm"], epsilon)
        states = states + linear(silu(linear(read, own["mlp.gate_proj"])) * linear(read, own["mlp.up_proj"]), own["mlp.down_proj"])
    pooled = norm(states, weights["model.norm.weight"], epsilon).mean(dim=0)
    return float(weights["score.weight"][0] @ pooled) / float(config["temperature"])


@pytest.mark.parametrize(
    ("rotary", "scaling"),
    [
        ({"rope_theta": THETA, "rope_scaling": None}, None),
        ({"rope_theta": THETA, "rope_scaling": LLAMA_3_2}, LLAMA_3_2),
        ({"rope_parameters": {**LLAMA_3_2, "rope_theta": THETA}}, LLAMA_3_2),
    ],
    ids=["plain", "Llama 3.2, as its config.json is written", "Llama 3.2, as transformers 5 writes it"],
)
def test_the_logit_is_the_description_s(rotary: dict[str, Any], scaling: dict[str, Any] | None, tmp_path: Path) -> None:
    folder = tiny_checkpoints.save("llama_bidirec", tmp_path / "llama")
    path = folder / "config.json"
    config = {name: value for name, value in json.loads(path.read_text()).items() if not name.startswith("rope_")}
    path.write_text(json.dumps({**config, **rotary}))
    checkpoint = families.load(folder)
    for query, passage in PAIRS:
        pair = checkpoint.encode(query, passage)
        assert checkpoint.reference(pair) == pytest.approx(logit(folder, pair.ids, scaling, THETA), abs=1e-4)


def test_the_prompt_is_the_model_s_to_the_letter(tmp_path: Path) -> None:
    checkpoint = families.load(tiny_checkpoints.save("llama_bidirec", tmp_path / "llama"))
    ids = checkpoint.tokenizer("question:which way? \n \n passage:this one")["input_ids"]
    assert checkpoint.encode("which way?", "this one").ids == ids
    assert ids[0] == checkpoint.tokenizer.bos_token_id
