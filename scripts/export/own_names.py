"""Weights under their author's names as those of transformers' class: other names, and tensors that hold several weights.

Knows no family.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class OwnNames:
    """`renamed`: patterns and what they become, in their order. `split`: a part of a name to those of the weights that its tensor holds,
    one below the other."""

    renamed: Mapping[str, str]
    split: Mapping[str, tuple[str, ...]]

    def weights(self, stored: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The weights of transformers' class that a stored tensor holds, by name."""
        name = stored
        for pattern, replacement in self.renamed.items():
            name = re.sub(pattern, replacement, name)
        whole = next((whole for whole in self.split if whole in name), None)
        if whole is None:
            yield name, tensor
            return
        for part, piece in zip(self.split[whole], tensor.tensor_split(len(self.split[whole])), strict=True):
            yield name.replace(whole, part), piece
