"""Jina's XLM-RoBERTa with weights under names of its own (jina-reranker-v2), by transformers' XLMRobertaForSequenceClassification.

Read in jinaai/xlm-roberta-flash-implementation: modeling_xlm_roberta.py and embedding.py compute what transformers' class computes, and
convert_roberta_weights_to_flash.py says which weight is which. That code, which comes with a checkpoint, is not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

from scripts.export import declared
from scripts.export.checkpoint import Checkpoint
from scripts.export.families import encoder
from scripts.export.own_names import OwnNames
from scripts.export.parts import fill_from

FAMILY = "xlm-roberta"
CONFIG = "configuration_xlm_roberta.XLMRobertaFlashConfig"  # how auto_map ends
NAMES = OwnNames(
    renamed={
        r"\bemb_ln\.": "embeddings.LayerNorm.",
        r"\bencoder\.layers\.": "encoder.layer.",
        r"\bmixer\.out_proj\.": "attention.output.dense.",
        r"\bnorm1\.": "attention.output.LayerNorm.",
        r"\bnorm2\.": "output.LayerNorm.",
        r"\bmlp\.fc1\.": "intermediate.dense.",
        r"\bmlp\.fc2\.": "output.dense.",
    },
    split={"mixer.Wqkv": ("attention.self.query", "attention.self.key", "attention.self.value")},
)
# Entries that change the score, each with its only supported value.
COMPUTED: dict[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute",),
    "hidden_act": ("gelu",),
    "lora_adaptations": (None,),
    "last_layer_subset": (False,),
}
LEFT_OUT = ("auto_map", "architectures", "model_type")


def is_flash(config: dict[str, Any]) -> bool:
    """Whether config.json names Jina's own configuration."""
    stated = config.get("auto_map")
    named = str(stated.get("AutoConfig", "")) if isinstance(stated, dict) else ""
    return config.get("model_type") == FAMILY and named.rpartition("--")[2] == CONFIG


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The classifier in `folder`. Raises ExportError for entries of config.json that are not known, and weights that are not whole."""
    declared.check_class(folder, config, [encoder.CLASSES[family]])
    declared.check_tokenizer(folder, [encoder.CLASSES[family]])
    declared.check_entries(folder, config, COMPUTED)
    make: Any = XLMRobertaConfig
    model: Any = XLMRobertaForSequenceClassification(make(**{name: entry for name, entry in config.items() if name not in LEFT_OUT}))
    model.eval()
    fill_from(model, folder, encoder.HARMLESS, NAMES.weights)
    return encoder.assembled(folder, config, family, model)
