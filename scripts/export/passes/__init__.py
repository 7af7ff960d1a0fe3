"""The project's own forward passes of classifiers: what of them becomes a graph that engines can compute on packed rows.

Attention is written out, since fused attention is drawn with guards that no engine fuses again; a last layer whose first token alone is
read is computed for that token. transformers' own pass stays the reference of the parity gate.
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
