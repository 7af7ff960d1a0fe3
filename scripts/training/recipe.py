"""The recipe: everything that decides the weights, beside the data and the base model. Knows no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Recipe:
    """Numbers of one training run; the defaults are the default bundle's."""

    seed: int = 20261122
    steps: int = 2600
    paragraphs_per_step: int = 8  # SQuAD questions among whole paragraphs
    windows_per_step: int = 4  # SQuAD questions among windows of two sentences
    taught_per_step: int = 7  # queries made from the other texts and from SQuAD's paragraphs
    max_tokens: int = 256  # per pair: 97 % of SQuAD's paragraphs with their question fit
    learning_rate: float = 1.5e-4  # a small model bears more than BERT-base's usual 2e-5
    head_learning_rate: float = 5e-4  # the head starts from nothing
    likely_weight: float = 0.2  # of the loss that looks at each pair alone, which makes logits comparable across queries
    warmup_steps: int = 150
    weight_decay: float = 0.01
    checkpoint_every: int = 100  # steps

    def rate(self, step: int) -> float:
        """The learning rate at `step` as a share of its peak: a linear warm-up, then linearly to zero."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        return max(self.steps - step, 0) / max(self.steps - self.warmup_steps, 1)

    def to_json(self) -> str:
        """Canonical JSON: equal texts are equal recipes."""
        return json.dumps(asdict(self), sort_keys=True)
