"""Which of a classifier's labels means relevant: a reranker has one logit, or two whose difference is one.

Knows labels and the last layer of a classifier, no family.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from scripts.export.checkpoint import ExportError

# A label that means relevant, and those that mean the opposite.
OPPOSITES = {
    "relevant": {"irrelevant", "not relevant", "non relevant"},
    "related": {"unrelated", "not related"},
    "positive": {"negative"},
    "yes": {"no"},
    "true": {"false"},
}
SHOWN = 5  # labels that a refusal lists
HEADS = ("classifier.out_proj", "classifier", "score")  # what transformers calls the last layer of its classifiers


@dataclass(frozen=True)
class Labels:
    """The labels of a reranker, by number; `negative` is None where it has one label alone."""

    positive: int = 0
    negative: int | None = None

    def logit(self, logits: Tensor) -> Tensor:
        """[..., labels] -> [...]: the only one, or the positive minus the negative one."""
        return logits[..., self.positive] if self.negative is None else logits[..., self.positive] - logits[..., self.negative]


def read_labels(folder: Path, config: Any) -> Labels:
    """The labels that a configuration of transformers names. Raises ExportError where the positive one is not evident."""
    if config.num_labels == 1:
        return Labels()
    names = [str(config.id2label.get(number, "")) for number in range(config.num_labels)]
    if config.num_labels > 2:
        raise ExportError(
            f"{folder} has {config.num_labels} labels ({', '.join(names[:SHOWN])}); a reranker has one: train it with num_labels=1"
        )
    plain = [" ".join(name.lower().replace("_", " ").replace("-", " ").split()) for name in names]
    for positive, negative in ((1, 0), (0, 1)):
        if plain[negative] in OPPOSITES.get(plain[positive], ()):
            return Labels(positive, negative)
    raise ExportError(
        f"{folder} has 2 labels, {names[0]} and {names[1]}, and which of them means relevant is not plain: name them in the id2label of "
        'config.json, for example {"0": "irrelevant", "1": "relevant"}, or train it with num_labels=1'
    )


def with_one_label(model: nn.Module, labels: Labels) -> nn.Module:
    """The classifier with the difference of two labels as its only one. It shares all weights but the last layer's with `model`."""
    if labels.negative is None:
        return model
    folded = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    name = next(name for name in HEADS if isinstance(dict(folded.named_modules()).get(name), nn.Linear))
    folded.set_submodule(name, _difference(folded.get_submodule(name), labels))
    return folded


def _difference(head: Any, labels: Labels) -> nn.Linear:
    """The last layer with one output; its input and its output are [batch, …]."""
    folded = nn.Linear(head.in_features, 1, bias=head.bias is not None)
    folded.weight = nn.Parameter(labels.logit(head.weight.detach().T)[None], requires_grad=False)
    if head.bias is not None:
        folded.bias = nn.Parameter(labels.logit(head.bias.detach())[None], requires_grad=False)
    return folded
