"""The state of a training run on disk, to resume after an interruption. Knows torch, not the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class Run:
    """The objects that change with each step."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LambdaLR

    def save(self, path: Path, step: int) -> None:
        """Write the state after `step` steps to `path`, atomically."""
        temporary = path.with_suffix(".tmp")
        torch.save(
            {
                "step": step,
                "random": torch.get_rng_state(),
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
            },
            temporary,
        )
        temporary.replace(path)

    def restore(self, path: Path) -> int:
        """Load the state from `path`; return the number of finished steps."""
        stored = torch.load(path, weights_only=True, map_location="cpu")
        self.model.load_state_dict(stored["model"])
        self.optimizer.load_state_dict(stored["optimizer"])
        self.scheduler.load_state_dict(stored["scheduler"])
        torch.set_rng_state(stored["random"])
        return int(stored["step"])
