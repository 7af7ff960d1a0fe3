"""Rerankers of sentence-transformers' modules: an encoder, a pooling, and dense layers, the last of which gives the score.

Read in sentence-transformers 6.2: cross_encoder/model.py, base/modules and sentence_transformer/modules; published so: cross-encoder's
ettin-reranker-v1. The modules and their settings stand in modules.json and in a folder of each. A module of another library is not run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from scripts.export import declared
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families import encoder, pair_texts
from scripts.export.parts import fill

LIBRARY = "sentence_transformers."
BODY, POOLING = "Transformer", "Pooling"
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "torch.nn.modules.linear.Identity": nn.Identity,
    "torch.nn.modules.activation.GELU": nn.GELU,
    "torch.nn.modules.activation.ReLU": nn.ReLU,
    "torch.nn.modules.activation.SiLU": nn.SiLU,
    "torch.nn.modules.activation.Tanh": nn.Tanh,
}
IDENTITY, TANH = "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Tanh"
# What earlier versions wrote for each pooling.
OLD_POOLINGS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_max_tokens": "max"}
EMBEDDING, SCORES = "sentence_embedding", "scores"  # what the modules call their inputs and outputs


class Dense(nn.Module):
    """[batch, in_features] -> [batch, out_features], under the names of weights that sentence-transformers stores."""

    def __init__(self, settings: dict[str, Any], activation: nn.Module) -> None:
        super().__init__()
        self.linear = nn.Linear(int(settings["in_features"]), int(settings["out_features"]), bias=bool(settings.get("bias", True)))
        self.activation = activation

    def forward(self, states: Tensor) -> Tensor:
        """The layer's output."""
        made: Tensor = self.activation(self.linear(states))
        return made


class LayerNorm(nn.Module):
    """[batch, dimension] -> the same, under the names of weights that sentence-transformers stores."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dimension)

    def forward(self, states: Tensor) -> Tensor:
        """The normalised states."""
        made: Tensor = self.norm(states)
        return made


class Normalize(nn.Module):
    """[batch, dimension] -> the same, of length 1."""

    def forward(self, states: Tensor) -> Tensor:
        """The states, scaled to length 1."""
        return nn.functional.normalize(states, dim=-1)


class Modular(nn.Module):
    """Encoder, pooling and head, as the graph wants it."""

    def __init__(self, model: nn.Module, pooling: str, head: nn.Sequential) -> None:
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.head = head

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Raw logits, FP32 [batch]. Pooling and head are in fp32."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.model(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state.float()
        scores: Tensor = self.head(self._pooled(states, attention_mask.unsqueeze(-1)))
        return scores[:, 0]

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        """FP32 [batch, sequence, hidden], INT64 [batch, sequence, 1] -> FP32 [batch, hidden]."""
        if self.pooling == "mean":
            return (states * mask).sum(dim=1) / mask.sum(dim=1)
        if self.pooling == "max":
            return states.masked_fill(mask == 0, torch.finfo(states.dtype).min).amax(dim=1)
        return states[:, 0]


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The reranker in `folder`. Raises ExportError for modules that are not known, and for weights that are not whole."""
    if family not in encoder.CLASSES:
        raise ExportError(
            f"{folder} puts sentence-transformers' pooling and dense layers on a {family!r}; they are known on {', '.join(encoder.CLASSES)}"
        )
    pooling, head = _modules(folder)
    body = encoder.CLASSES[family].replace("ForSequenceClassification", "Model")
    model = encoder.load_model(getattr(transformers, body), body, folder, config)
    texts = pair_texts.read(folder, model.config, family)
    module = Modular(model, pooling, head)
    return texts.checkpoint(family, model.config, module, lambda pair: module(**pair, attention_mask=torch.ones_like(pair["input_ids"])))


def is_modular(folder: Path) -> bool:
    """Whether modules.json lists a pooling: then the encoder's own head, if any, gives no score."""
    return any(kind == POOLING for kind, _ in declared.modules(folder, LIBRARY))


def _modules(folder: Path) -> tuple[str, nn.Sequential]:
    """The pooling, and the layers after it with their weights."""
    kinds = declared.modules(folder, LIBRARY)
    if [kind for kind, _ in kinds[:2]] != [BODY, POOLING] or kinds[0][1] != folder:
        raise ExportError(
            f"{folder}: its modules are {', '.join(kind for kind, _ in kinds)}; known are {BODY}, {POOLING} and layers, in that order"
        )
    _check_body(folder)
    layers = [_layer(kind, path, last=number == len(kinds)) for number, (kind, path) in enumerate(kinds[2:], 3)]
    if not layers or not isinstance(layers[-1], Dense):
        raise ExportError(f"{folder}: its last module is no dense layer that gives the score: it is no reranker")
    return _pooling(kinds[1][1], folder), nn.Sequential(*layers)


def _check_body(folder: Path) -> None:
    settings = declared.sentence_transformers(folder, declared.TRANSFORMER)
    other = {
        "transformer_task": settings.get("transformer_task", "feature-extraction") != "feature-extraction",
        "modality_config": list(settings.get("modality_config", {"text": {}})) != ["text"],
        "do_lower_case": bool(settings.get("do_lower_case")),
        "query_length": settings.get("query_length") is not None,
        "document_length": settings.get("document_length") is not None,
    }
    if any(other.values()):
        named = ", ".join(f"{name} {settings[name]!r}" for name, wrong in other.items() if wrong)
        raise ExportError(f"{folder}/{declared.TRANSFORMER} says {named}, which is not known for a reranker of modules")


def _pooling(path: Path, folder: Path) -> str:
    settings = declared.read(path / "config.json")
    modes = settings.get("pooling_mode") or [mode for name, mode in OLD_POOLINGS.items() if settings.get(name)] or ["mean"]
    stated = [modes] if isinstance(modes, str) else list(modes)
    others = [name for name, used in settings.items() if name.startswith("pooling_mode_") and used and name not in OLD_POOLINGS]
    if len(stated) != 1 or stated[0] not in OLD_POOLINGS.values() or others:
        raise ExportError(
            f"{path}/config.json pools by {', '.join([*stated, *others])}; known is one of {', '.join(OLD_POOLINGS.values())}"
        )
    if not settings.get("include_prompt", True) and declared.query_prompt(folder):
        raise ExportError(f"{path}/config.json leaves the prompt out of the pooling (include_prompt), which is not known")
    return stated[0]


def _layer(kind: str, path: Path, *, last: bool) -> nn.Module:
    settings = declared.read(path / "config.json")
    if kind == "Dense":
        layer: nn.Module = Dense(settings, _activation(path, settings, last=last))
        fill(layer, path, {})
        return layer
    if kind == "LayerNorm":
        layer = LayerNorm(int(settings["dimension"]))
        fill(layer, path, {})
        return layer
    if kind == "Dropout":  # of training
        return nn.Identity()
    if kind == "Normalize" and settings.get("module_input_name", EMBEDDING) == EMBEDDING:
        return Normalize()
    raise ExportError(f"{path}: a module {kind} is not known in a reranker; known are Dense, LayerNorm, Dropout and Normalize")


def _activation(path: Path, settings: dict[str, Any], *, last: bool) -> nn.Module:
    """That of a dense layer. The last gives one score, to which nothing is applied: what is sent is its raw logit."""
    name = str(settings.get("activation_function", TANH))
    read, written = settings.get("module_input_name", EMBEDDING), settings.get("module_output_name") or EMBEDDING
    if last and (int(settings["out_features"]), name) != (1, IDENTITY):
        raise ExportError(f"{path} gives {settings['out_features']} scores by {name.rpartition('.')[2]}; known is one, by Identity")
    if name not in ACTIVATIONS or read != EMBEDDING or written != (SCORES if last else EMBEDDING) or settings.get("use_residual"):
        raise ExportError(f"{path}/config.json describes a dense layer that is not known: {name}, from {read} to {written}")
    return ACTIVATIONS[name]()
