"""Rotary position embeddings as transformers' Llama and Mistral have them, Llama 3's slowing down of long waves included.

Angles are in fp32 whatever the model's precision, and not more exact: the models were trained with fp32 angles. Knows no model.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def table(size: int, theta: float, scaling: Mapping[str, float] | None, positions: int) -> Tensor:
    """Cosines and sines, FP32 [positions, 2, size / 2], of heads with `size` numbers."""
    frequencies = 1.0 / theta ** (torch.arange(0, size, 2, dtype=torch.float32) / size)
    if scaling:
        frequencies = _slowed(frequencies, scaling)
    angles = torch.arange(positions, dtype=torch.float32)[:, None] * frequencies
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def _slowed(frequencies: Tensor, scaling: Mapping[str, float]) -> Tensor:
    """Llama 3's: what turns less than `low_freq_factor` times in the original length is slowed down by `factor`, and what turns more than
    `high_freq_factor` times is left alone; in between it goes over smoothly.
    """
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = scaling["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    kept = ((turns - low) / (high - low)).clamp(0.0, 1.0)
    return frequencies * (kept + (1 - kept) / scaling["factor"])


def turn(states: Tensor, turns: Tensor) -> Tensor:
    """Rotates [tokens, heads, size] by [tokens, 2, size / 2]: a head's first half with its second half, in fp32."""
    cosine, sine = turns[:, None, 0], turns[:, None, 1]
    first, second = states.float().chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1).to(states.dtype)
