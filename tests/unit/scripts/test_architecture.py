"""What the manifest says of a model's architecture, and that it says nothing where the torch engine would compute something else."""

import json
from typing import Any

import pytest

pytest.importorskip("transformers")

from transformers import BertConfig, LlamaConfig, MistralConfig

from scripts.export.architecture import architecture

LLAMA_3_2 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192,
}


def llama(**more: Any) -> Any:
    return LlamaConfig(**{"num_key_value_heads": 8, "max_position_embeddings": 131_072, "rope_parameters": LLAMA_3_2, **more})


def test_bert() -> None:
    assert architecture("bert", BertConfig(), {}, 512) == {"layers": 12, "heads": 12, "epsilon": 1e-12}


def test_llama() -> None:
    entry = architecture("llama_bidirec", llama(), {"pooling": "avg", "temperature": 0.5}, 8192)
    assert entry == {
        "layers": 32,
        "heads": 32,
        "key_value_heads": 8,
        "head_size": 128,
        "epsilon": 1e-6,
        "theta": 500_000.0,
        "scaling": {name: value for name, value in LLAMA_3_2.items() if name not in {"rope_type", "rope_theta"}},
        "pooling": "avg",
        "temperature": 0.5,
    }
    assert json.loads(json.dumps(entry)) == entry


def test_pooling_and_temperature_have_defaults() -> None:
    entry = architecture("llama_bidirec", llama(), {}, 8192)
    assert entry is not None
    assert (entry["pooling"], entry["temperature"]) == ("avg", 1.0)


@pytest.mark.parametrize(
    ("family", "config", "longest"),
    [
        ("roberta", BertConfig(), 512),
        ("bert", BertConfig(hidden_act="relu"), 512),
        ("bert", BertConfig(type_vocab_size=1), 512),
        ("llama_bidirec", llama(attention_bias=True), 512),
        ("llama_bidirec", llama(hidden_act="gelu"), 512),
        ("llama_bidirec", llama(rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}), 512),
        ("mistral_bidirec", MistralConfig(sliding_window=256), 512),
    ],
)
def test_what_the_engine_lacks_has_no_entry(family: str, config: Any, longest: int) -> None:
    assert architecture(family, config, {}, longest) is None


def test_a_window_that_no_pair_exceeds_is_none() -> None:
    assert architecture("mistral_bidirec", MistralConfig(sliding_window=512), {}, 512) is not None
