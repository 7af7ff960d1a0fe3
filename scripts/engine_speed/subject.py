"""The model that is measured: a bundle's, or one with random weights of given dimensions that never goes through an export.

Each comes as weights for the packed engine and as transformers' own modules with the same weights. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaModel

from facade.errors import SettingsError
from facade.reranking.bundle import WEIGHTS, Bundle, PairEncoding, read_bundle
from reranker.engines.machine import Machine
from reranker.engines.torch_packed import ARCHITECTURE, refusal
from reranker.engines.torch_packed.families import FAMILIES
from reranker.engines.torch_packed.onnx_weights import read_weights
from scripts.export.architecture import architecture
from scripts.export.families.bidirectional import Bidirectional
from scripts.export.families.encoder import Classifier
from scripts.llama_1b import LLAMA_1B

TINY: dict[str, Any] = {
    **LLAMA_1B,
    "vocab_size": 500,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
}
RANDOM = {"llama-1b": LLAMA_1B, "tiny": TINY}
POSITIONS = 8192  # the longest pair of a random model


@dataclass(frozen=True)
class Subject:
    """`padded`: transformers' own modules, tensors by position as `pack` makes them, to logits. `exported`: there is a graph of it, too."""

    bundle: Bundle
    stored: Mapping[str, Tensor]
    padded: nn.Module
    exported: bool

    def operations(self, lengths: Sequence[int]) -> float:
        """Floating-point operations that rows of these tokens need, padding not counted: matrix products, attention included."""
        own = self.bundle.manifest[ARCHITECTURE]
        layers, bert = own["layers"], self.bundle.manifest["family"] == "bert"
        matrices = {name: value.shape for name, value in self.stored.items() if ".layer" in name and value.ndim == 2}
        weights = sum(shape.numel() for shape in matrices.values())
        width = sum(shape[0] for name, shape in matrices.items() if name.endswith(("query.weight", "q_proj.weight"))) / layers
        full = layers - 1 if bert else layers  # BERT's last layer is needed for the first token alone, but for keys and values
        each = 2 * weights * full / layers + (4 * width * width if bert else 0)
        return float(sum(each * tokens + 4 * width * full * tokens * tokens for tokens in lengths))


def load(name: str, device: torch.device) -> Subject:
    """A random model by name, or the bundle in the folder called so. Raises SettingsError or BundleError where it can't be measured."""
    return _random(name, device) if name in RANDOM else _of_bundle(read_bundle(Path(name)))


def _of_bundle(bundle: Bundle) -> Subject:
    refused = refusal(bundle, "fp32", Machine.here())
    if refused or bundle.manifest["family"] != "bert":
        raise SettingsError(refused or f"{bundle.folder}: only BERT bundles are measured; for decoders take one of {', '.join(RANDOM)}")
    stored = read_weights(bundle.folder / WEIGHTS, FAMILIES["bert"].prefix)
    own = bundle.manifest[ARCHITECTURE]
    words, positions = (stored[f"bert.embeddings.{kind}_embeddings.weight"] for kind in ("word", "position"))
    config: Any = BertConfig(
        vocab_size=words.shape[0],
        hidden_size=words.shape[1],
        max_position_embeddings=positions.shape[0],
        num_hidden_layers=own["layers"],
        num_attention_heads=own["heads"],
        layer_norm_eps=own["epsilon"],
        intermediate_size=stored["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
    )
    config.num_labels = 1
    model: Any = BertForSequenceClassification(config)
    model.load_state_dict(dict(stored), strict=False)
    return Subject(bundle, stored, Classifier(model).eval(), exported=True)


def _random(name: str, device: torch.device) -> Subject:
    config: Any = LlamaConfig(**RANDOM[name])
    config.is_causal = False  # as scripts/export/families/bidirectional.py has it
    torch.manual_seed(7)
    with device:
        model: Any = LlamaModel(config)
        score = torch.randn(1, config.hidden_size) / config.hidden_size**0.5
    for layer in model.layers:
        layer.self_attn.is_causal = False
    module = Bidirectional(model, score, "avg", 1.0).eval()
    stored = {f"model.{key}": value for key, value in model.state_dict().items()} | {"score.weight": score}
    manifest = {"family": "llama_bidirec", "precision": "fp32", ARCHITECTURE: architecture("llama_bidirec", config, {}, POSITIONS)}
    pair = PairEncoding((), (), (), segment_ids=False)
    bundle = Bundle(Path(), name, "0", POSITIONS, config.vocab_size, 0, pair, "", manifest)
    return Subject(bundle, stored, module, exported=False)
