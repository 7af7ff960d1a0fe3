"""The base class of the project's own passes: positional tensors in, raw logits out. Knows no family."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn


class OwnPass(nn.Module):
    """A forward pass over the modules of `model`, exported without guards around softmax."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model: Any = model

    @abstractmethod
    def logits(self, ids: Tensor, mask: Tensor, types: Tensor) -> Tensor:
        """Raw logits [batch], of INT64 [batch, sequence] each."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Raw logits, FP32 [batch]. Without segment ids all are 0, as transformers has it."""
        types = torch.zeros_like(input_ids) if token_type_ids is None else token_type_ids
        return self.logits(input_ids, attention_mask, types).float()
