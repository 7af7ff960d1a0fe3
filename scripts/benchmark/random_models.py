"""Rerankers of published dimensions with random weights: what they are, and what peers need to serve them. Knows no tokenizer's content.

Speed does not depend on the weights, so no hub is needed to measure the models that people use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.llama_1b import LLAMA_1B

UNIGRAM, BYTES, LLAMA, QWEN = "unigram", "bytes", "llama", "qwen"  # kinds of tokenizers


@dataclass(frozen=True)
class RandomModel:
    """A model: its family, its entries of config.json, its kind of tokenizer, and its limit in tokens.

    `head`: the weight that scales the logits. `as_stored` replaces entries of the written config.json, `for_vllm` does so
    in vLLM's copy. `overrides`: vLLM's --hf-overrides. `template`: vLLM's template of a pair, where the model has a prompt.
    """

    name: str
    like: str
    family: str
    config: Mapping[str, Any]
    tokenizer: str
    head: str
    longest: int
    as_stored: Mapping[str, Any] = field(default_factory=dict)
    for_vllm: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None

    @property
    def is_decoder(self) -> bool:
        """Whether it is a language model, which sentence-transformers' OpenVINO backend does not serve as it is."""
        return self.tokenizer in {LLAMA, QWEN}

    @property
    def recipe(self) -> str:
        """A digest of what it is made of."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


_QUERY = '{{ (messages | selectattr("role", "eq", "query") | first).content }}'
_DOCUMENT = '{{ (messages | selectattr("role", "eq", "document") | first).content }}'
_LLAMA_TEMPLATE = f'question:{_QUERY}{{{{ " \\n \\n" }}}} passage:{_DOCUMENT}'
_QWEN_TEMPLATE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    f"<Query>: {_QUERY}\n<Document>: {_DOCUMENT}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
_XLMR = {"vocab_size": 250_002, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}


def _xlmr(name: str, like: str, width: int, layers: int, positions: int) -> RandomModel:
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": width // 64, "intermediate_size": 4 * width}
    config = {**_XLMR, **sizes, "max_position_embeddings": positions}
    return RandomModel(name, like, "xlm-roberta", config, UNIGRAM, "classifier.out_proj.weight", positions - 2)


RANDOM_MODELS = {
    model.name: model
    for model in (
        _xlmr("xlmr-base", "BAAI/bge-reranker-base", 768, 12, 514),
        _xlmr("xlmr-large", "BAAI/bge-reranker-v2-m3", 1024, 24, 8194),
        RandomModel(
            "modernbert-base",
            "Alibaba-NLP/gte-reranker-modernbert-base",
            "modernbert",
            # The other dimensions are the defaults of transformers' class.
            {"vocab_size": 50_368, "classifier_pooling": "mean", **dict.fromkeys(("pad_token_id", "eos_token_id"), 0)}
            | {"cls_token_id": 1, "bos_token_id": 1, "sep_token_id": 2},
            BYTES,
            "classifier.weight",
            8192,
        ),
        RandomModel(
            "llama-1b",
            "nvidia/llama-nemotron-rerank-1b-v2",
            "llama",
            {**LLAMA_1B, "max_position_embeddings": 8192, "pad_token_id": 1},
            LLAMA,
            "score.weight",
            8192,
            as_stored={
                "model_type": "llama_bidirec",
                "architectures": ["LlamaBidirectionalForSequenceClassification"],
                "pooling": "avg",
                "temperature": 1.0,
            },
            # transformers knows no llama_bidirec; vLLM goes by the architecture.
            for_vllm={"model_type": "llama", "rope_theta": 500_000.0, "rope_scaling": LLAMA_1B["rope_parameters"]},
            template=_LLAMA_TEMPLATE,
        ),
        RandomModel(
            "qwen3-0.6b",
            "Qwen/Qwen3-Reranker-0.6B",
            "qwen3",
            {
                "vocab_size": 151_669,
                "hidden_size": 1024,
                "num_hidden_layers": 28,
                "num_attention_heads": 16,
                "num_key_value_heads": 8,
                "head_dim": 128,
                "intermediate_size": 3072,
                "max_position_embeddings": 40_960,
                "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
                "tie_word_embeddings": True,
            },
            QWEN,
            "model.norm.weight",
            40_960,
            for_vllm={"rope_theta": 1_000_000.0},
            overrides={
                "architectures": ["Qwen3ForSequenceClassification"],
                "classifier_from_token": ["no", "yes"],
                "is_original_qwen3_reranker": True,
            },
            template=_QWEN_TEMPLATE,
        ),
    )
}
