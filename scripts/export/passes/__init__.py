"""The project's own forward passes of encoder classifiers, whose graphs engines can compute on packed rows.

Attention is written out: exported fused attention has guards that no engine fuses. Where the head reads only the first token,
the last layer computes that token alone. transformers' own pass stays the reference of the parity gate.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from scripts.export.passes import modernbert, post_norm

PASSES = (post_norm, modernbert)


def own_pass(model: Any, family: str) -> nn.Module | None:
    """The module of `model` that the graph is drawn of; None where its family or its configuration has no pass of its own."""
    for each in PASSES:
        if family in each.FAMILIES and each.knows(model.config):
            made: nn.Module = each.FAMILIES[family](model)
            return made
    return None
