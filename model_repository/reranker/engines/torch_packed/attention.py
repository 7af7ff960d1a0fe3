"""Attention within each sequence of a packed batch: no token sees another sequence's, and all see all of their own.

    flash    torch's variable-length flash attention: half precision on CUDA, reads and writes packed tokens as they are
    padded   any device and precision: sequences are spread into a padded batch for this one step, and packed again

Knows tensors, neither models nor rotary embeddings.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention

HALF = (torch.bfloat16, torch.float16)
FLASH_CAPABILITY = (8, 0)  # compute capability of the first GPUs that torch's flash attention is built for
FLASH_STEP, FLASH_MOST = 8, 256  # its head sizes: multiples of 8 up to 256
VARLEN_WORDS = frozenset(inspect.signature(varlen_attn).parameters)


class Bounds(NamedTuple):
    """Where sequences begin in packed tokens, and where the last one ends, INT32 [sequences + 1]; the longest's tokens, or more."""

    places: Tensor
    longest: int


# query [tokens, heads, size], key and value [other tokens, key heads, size], the sequences of the one and of the others
Attend = Callable[[Tensor, Tensor, Tensor, Bounds, Bounds], Tensor]


def choose(device: torch.device, precision: torch.dtype, head_size: int) -> Attend:
    """The fastest that can be used here; what it returns has the query's shape."""
    fits = head_size % FLASH_STEP == 0 and head_size <= FLASH_MOST
    if device.type == "cuda" and precision in HALF and fits and torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY:
        return flash
    return padded


def flash(query: Tensor, key: Tensor, value: Tensor, asking: Bounds, asked: Bounds) -> Tensor:
    """By torch's kernel; its sums are in fp32."""
    # torch before 2.12 lacks this argument, and takes fewer key heads without it.
    grouped: dict[str, Any] = {"enable_gqa": True} if "enable_gqa" in VARLEN_WORDS else {}
    mixed: Any = varlen_attn(query, key, value, asking.places, asked.places, asking.longest, asked.longest, **grouped)
    return cast(Tensor, mixed)


def padded(query: Tensor, key: Tensor, value: Tensor, asking: Bounds, asked: Bounds) -> Tensor:
    """By scaled_dot_product_attention with a mask. Micro-batches have rows of like length, so little padding is computed."""
    groups = query.shape[1] // key.shape[1]
    mask = torch.arange(asked.longest, device=query.device) < asked.places.diff()[:, None]
    mixed = scaled_dot_product_attention(
        _spread(query, asking),
        _spread(key, asked).repeat_interleave(groups, dim=1),
        _spread(value, asked).repeat_interleave(groups, dim=1),
        attn_mask=mask[:, None, None, :],
    )
    tokens = torch.arange(query.shape[0], device=query.device, dtype=torch.int32)
    sequence = torch.searchsorted(asking.places, tokens, right=True) - 1  # the last that begins no later: never an empty one
    return mixed.transpose(1, 2)[sequence, tokens - asking.places[sequence]]


def _spread(packed: Tensor, bounds: Bounds) -> Tensor:
    """[tokens, heads, size] -> [sequences, heads, longest, size]; what lies beyond a sequence's end is some other token."""
    places = bounds.places[:-1, None] + torch.arange(bounds.longest, device=packed.device)
    return packed[places.clamp(max=packed.shape[0] - 1)].transpose(1, 2)
