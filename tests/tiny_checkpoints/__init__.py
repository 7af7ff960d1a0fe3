"""A tiny checkpoint of every family that can be exported: random weights, and a tokenizer of the family's own kind."""

from collections.abc import Callable
from pathlib import Path

from tests.tiny_checkpoints import decoders, encoders, own_names

MODULAR = "modernbert with modules"
JINA = "xlm-roberta with Jina's names"


def _modular(folder: Path) -> None:
    from tests.tiny_checkpoints.modular import modernbert  # noqa: PLC0415 (sentence-transformers, for tests that need it)

    modernbert(folder)


def _vision_language(folder: Path) -> None:
    from tests.vl_checkpoint import make_checkpoint  # noqa: PLC0415 (it takes its tokenizer from here)

    make_checkpoint(folder)


MAKE: dict[str, Callable[[Path], None]] = {
    "bert": encoders.bert,
    "electra": encoders.electra,
    "distilbert": encoders.distilbert,
    "roberta": encoders.roberta,
    "xlm-roberta": encoders.xlm_roberta,
    "modernbert": encoders.modernbert,
    "deberta-v2": encoders.deberta,
    "llama_bidirec": decoders.llama_bidirec,
    "mistral_bidirec": decoders.mistral_bidirec,
    "llama": decoders.llama,
    "qwen2": decoders.qwen2,
    "qwen3": decoders.qwen3,
    "gemma": decoders.gemma,
    "gemma2": decoders.gemma2,
    "gemma3_text": decoders.gemma3,
    "new": own_names.alibaba,
    "gte": encoders.gte,
    JINA: own_names.jina,
    MODULAR: _modular,
    "llama_nemotron_vl_rerank": _vision_language,
    "xlm-roberta with sentencepiece.bpe.model": encoders.xlm_roberta_sentencepiece,
    "deberta-v2 with spm.model": encoders.deberta_sentencepiece,
}


def save(family: str, folder: Path) -> Path:
    """Writes a checkpoint of the family to `folder` and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    MAKE[family](folder)
    return folder
