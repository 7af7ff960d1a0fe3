"""NVIDIA's vision-language rerankers, llama_nemotron_vl_rerank: SigLIP sees an image's tiles, a Llama that reads both ways scores the pair.

Built from transformers' SiglipVisionModel and LlamaModel; the code that comes with a checkpoint is not run. An image's tokens stand in
front of the prompt of the text rerankers, and a feature of the projector replaces the embedding of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import LlamaModel, PreTrainedTokenizerFast, SiglipVisionModel
from transformers.initialization import no_init_weights

from facade.reranking.tensors import ATTENTION_MASK, IMAGE_FEATURES, IMAGE_POSITIONS, INPUT_IDS
from scripts.export.architecture import vision_language
from scripts.export.checkpoint import Checkpoint, ExportError, Images
from scripts.export.families.bidirectional import PROMPT
from scripts.export.families.nemotron_vl.graphs import LanguageGraph, VisionGraph
from scripts.export.families.nemotron_vl.image_tokens import image_block
from scripts.export.families.nemotron_vl.reference import Reference
from scripts.export.families.nemotron_vl.settings import Settings, read_settings
from scripts.export.loading import BUFFERS
from scripts.export.parts import fill
from scripts.export.prompt import as_pair_encoding
from scripts.export.tokenizer import load as load_tokenizer
from scripts.export.tokenizer import pad_id

MODEL_TYPE = "llama_nemotron_vl_rerank"
VISION = "model.vision_model."
# Versions of transformers before 5.6 stored the vision model in one of the same name.
OLD_VISION = "model.vision_model.vision_model."
HARMLESS = {**BUFFERS, r"^model\.vision_model\.head\.": "SigLIP's pooling head: the reranker reads the features of all patches"}


class _Parts(nn.Module):
    """The checkpoint's weights in transformers' modules, uninitialised, under the names that they have in its files."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        make_vision: Any = SiglipVisionModel
        make_language: Any = LlamaModel
        hidden = settings.language.hidden_size
        self.score = nn.Linear(hidden, 1, bias=False)
        self.model = nn.Module()
        self.model.vision_model = make_vision(settings.vision)
        language = make_language(settings.language)
        for layer in language.layers:
            layer.self_attn.is_causal = False
        self.model.language_model = language
        self.model.mlp1 = nn.Sequential(
            nn.LayerNorm(settings.merged), nn.Linear(settings.merged, hidden), nn.GELU(), nn.Linear(hidden, hidden)
        )


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The reranker in `folder`. Raises ExportError for what is not known of it in config.json and tokenizer, and for weights not whole."""
    settings = read_settings(folder, config)
    tokenizer = load_tokenizer(folder, PreTrainedTokenizerFast)  # AutoTokenizer would want to know the family
    block = image_block(folder, tokenizer, settings)
    limit = min(settings.longest or int(tokenizer.model_max_length), int(settings.language.max_position_embeddings))
    if limit <= block.tokens(block.most_tiles + block.thumbnail):
        raise ExportError(
            f"{folder} takes pairs of {limit} tokens, of which an image of most tiles leaves none for text: "
            "raise rerank_max_length in processor_config.json or model_max_length in tokenizer_config.json"
        )
    with no_init_weights(), torch.no_grad():
        parts: Any = _Parts(settings).eval()
        fill(parts, folder, HARMLESS, lambda name: name.replace(OLD_VISION, VISION, 1))
    language = LanguageGraph(parts.model.language_model, parts.score, settings.temperature).eval()
    reference = Reference(parts.model, language.norm, parts.score, tokenizer, settings, limit)
    return Checkpoint(
        family=family,
        module=language,
        inputs=(INPUT_IDS, ATTENTION_MASK, IMAGE_FEATURES, IMAGE_POSITIONS),
        tokenizer=tokenizer,
        pair_encoding=as_pair_encoding(tokenizer, PROMPT),
        max_seq_len=limit,
        vocabulary_size=int(settings.language.vocab_size),
        pad_id=pad_id(tokenizer, settings.language.pad_token_id),
        encode=reference.encode,
        reference=reference.logit,
        architecture=vision_language(settings.vision, settings.language, settings.select_layer, settings.temperature, limit),
        images=Images(
            module=VisionGraph(parts.model.vision_model, parts.model.mlp1, settings.select_layer).eval(),
            block=block,
            width=int(settings.language.hidden_size),
            encode=reference.encode,
        ),
    )
