"""Fill a module with the tensors of a checkpoint's files: all of both, by name. For models of which transformers has no class.

Knows no family.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from scripts.export.loading import Faults, misshapen, refuse
from scripts.export.weights import stored_tensors

Parts = Callable[[str, Tensor], Iterable[tuple[str, Tensor]]]


def fill(module: nn.Module, folder: Path, harmless: Mapping[str, str], renamed: Callable[[str], str] = str) -> None:
    """Copy the tensors in `folder` into the weights of `module`; `renamed`: a stored name to the module's. The rest: see fill_from."""
    fill_from(module, folder, harmless, lambda stored, tensor: [(renamed(stored), tensor)])


def fill_from(module: nn.Module, folder: Path, harmless: Mapping[str, str], parts: Parts) -> None:
    """Copy the tensors in `folder` into the weights of `module`, in the weights' own type.

    `harmless`: patterns of names that the module has no place for, as in loading.py; `parts`: a stored tensor as the module's, by name.
    Raises ExportError that names the tensors which are missing, unused, stored twice, of another shape or no numbers.
    """
    own = dict(module.named_parameters())
    faults = Faults(missing=set(own))
    for stored, name, tensor in ((whole, *part) for whole, held in stored_tensors(folder) for part in parts(whole, held)):
        if name in faults.missing and own[name].shape == tensor.shape:
            with torch.no_grad():
                own[name].copy_(tensor)
            if not bool(torch.isfinite(own[name]).all()):
                faults.other.add(name)
        elif name in faults.missing:
            faults.misshapen.add(misshapen(name, tensor.shape, own[name].shape))
        elif not any(re.search(pattern, name) for pattern in harmless):
            faults.unused.add(stored)
        faults.missing.discard(name)
    refuse(faults, folder, "reranker of its family")
