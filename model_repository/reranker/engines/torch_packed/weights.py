"""A model's weights by transformers' names to torch modules on the device, in the precision of computation.

Knows neither families nor storage: any mapping of names to tensors is accepted, a state dict too. Tensors are taken one at a time, so a
mapping that reads from disk never holds the whole model beside the device's copy.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from facade.errors import SettingsError


@dataclass(frozen=True)
class Weights:
    """Makes modules of stored tensors; those of several names are concatenated, so that one product computes all of them."""

    stored: Mapping[str, Tensor]
    device: torch.device
    precision: torch.dtype

    def take(self, *names: str, precision: torch.dtype | None = None) -> nn.Parameter:
        """The tensors called `names`, along the first axis. Raises SettingsError where one is missing."""
        found = []
        for name in names:
            if name not in self.stored:
                raise SettingsError(
                    f"the bundle's graph holds no {name}: export the model again with `make export-model`, or set "
                    "RERANKER_ENGINE=onnxruntime"
                )
            found.append(self.stored[name].to(self.device, precision or self.precision))
        return nn.Parameter(torch.cat(found) if found[1:] else found[0].contiguous(), requires_grad=False)

    def linear(self, *names: str, bias: bool = True, precision: torch.dtype | None = None) -> nn.Linear:
        """A product with the matrices called `names` + .weight."""
        weight = self.take(*(f"{name}.weight" for name in names), precision=precision)
        made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias, device="meta")
        made.weight = weight
        if bias:
            made.bias = self.take(*(f"{name}.bias" for name in names), precision=precision)
        return made

    def embedding(self, name: str) -> nn.Embedding:
        """A table of vectors."""
        weight = self.take(f"{name}.weight")
        made = nn.Embedding(weight.shape[0], weight.shape[1], device="meta")
        made.weight = weight
        return made

    def layer_norm(self, name: str, epsilon: float) -> nn.LayerNorm:
        """A norm with scale and shift; its statistics are in fp32."""
        weight = self.take(f"{name}.weight")
        made = nn.LayerNorm(weight.shape[0], eps=epsilon, device="meta")
        made.weight, made.bias = weight, self.take(f"{name}.bias")
        return made

    def rms_norm(self, name: str, epsilon: float, precision: torch.dtype | None = None) -> nn.RMSNorm:
        """A norm with a scale alone."""
        weight = self.take(f"{name}.weight", precision=precision)
        made = nn.RMSNorm(weight.shape[0], eps=epsilon, device="meta")
        made.weight = weight
        return made
