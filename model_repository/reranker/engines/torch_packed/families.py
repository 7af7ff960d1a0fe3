"""The families that run on packed tokens: how each is built of a manifest's entry and of weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from reranker.engines.torch_packed import bert, bidirectional, siglip
from reranker.engines.torch_packed.batch import PackedBatch
from reranker.engines.torch_packed.weights import Weights


class Model(Protocol):
    """Packed tokens -> logits FP32 [sequences]. `repeated`: the modules that are worth compiling."""

    def __call__(self, batch: PackedBatch) -> Tensor: ...  # noqa: D102 (see the class)

    def repeated(self) -> list[nn.Module]: ...  # noqa: D102


@dataclass(frozen=True)
class Family:
    """`prefix`: of the weights' names in an exported graph, before transformers' own. `build`: architecture, weights, longest sequence.

    `see`: architecture and weights of the vision graph, where the family takes images.
    """

    prefix: str
    build: Callable[[Mapping[str, Any], Weights, int], Model]
    see: Callable[[Mapping[str, Any], Weights], siglip.Siglip] | None = None


def _bert(entry: Mapping[str, Any], weights: Weights, positions: int) -> Model:  # noqa: ARG001 (its positions are among the weights)
    return bert.Bert(bert.Architecture(**entry), weights)


def _bidirectional(entry: Mapping[str, Any], weights: Weights, positions: int) -> Model:
    return bidirectional.Bidirectional(bidirectional.Architecture(**entry), weights, positions)


def _vision_language(entry: Mapping[str, Any], weights: Weights, positions: int) -> Model:
    own = bidirectional.Architecture(**entry["language"])
    norm = weights.rms_norm("norm", own.epsilon, torch.float32)  # as the graph has it in every precision
    return bidirectional.Bidirectional(own, weights, positions, norm)


def _siglip(entry: Mapping[str, Any], weights: Weights) -> siglip.Siglip:
    return siglip.Siglip(siglip.Architecture(**entry["vision"]), weights)


FAMILIES = {
    "bert": Family("model.", _bert),
    "llama_bidirec": Family("", _bidirectional),
    "mistral_bidirec": Family("", _bidirectional),
    "llama_nemotron_vl_rerank": Family("", _vision_language, _siglip),
}
