"""A tiny checkpoint of every family that can be exported: random weights, and a tokenizer of the family's own kind.

The tokenizers are trained on a few sentences; what matters is how they cut text: word pieces, byte-level BPE with Llama 3's or Qwen's
rules, unigrams and byte-fallback BPE with a space before the text.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GemmaConfig,
    GemmaForCausalLM,
    LlamaConfig,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from scripts.bert.base_model import base_tokenizer

LIMIT = 96
LANGUAGE_MODEL_LIMIT = 4 * LIMIT  # their prompt alone takes more than the others' limit
# Wide enough that wrong segments, masks or poolings move a logit by much more than rounding does.
SPREAD = 0.3
LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
TEXTS = [
    "Two roads diverged in a yellow wood, and sorry I could not travel both.",
    "question:which way should i go? \n \n passage:then took the other, as just as fair",
    "Judge whether the Document meets the requirements.\nyes\nno\nYes\nNo",
    "<Instruct>: Given a web search query\n<Query>: what is it?\n<Document>: It is 1234 metres high.",
    "A: what is it?\nB: Given a query A and a passage B, determine whether the passage contains an answer.",
]
SMALL: dict[str, Any] = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "initializer_range": SPREAD,
}
DECODER: dict[str, Any] = {**SMALL, "num_key_value_heads": 2, "max_position_embeddings": LIMIT, "head_dim": 12}


def word_pieces(folder: Path) -> Any:
    tokenizer = base_tokenizer()
    tokenizer.model_max_length = LIMIT
    tokenizer.save_pretrained(folder)
    return tokenizer


def byte_level(folder: Path, pattern: str | None, special: list[str], single: str, pair: str | None, **roles: str) -> Any:
    """Byte-level BPE; `pattern` splits the text first, None means GPT-2's own way."""
    tokenizer = Tokenizer(models.BPE())
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    split = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS * 9, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    )
    return finish(folder, tokenizer, special, (single, pair), roles)


def spaced(folder: Path, model: str, special: list[str], single: str, pair: str | None, **roles: str) -> Any:
    """Unigrams as SentencePiece makes them, or BPE with byte fallback; a space goes before the text."""
    if model == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer: Any = trainers.UnigramTrainer(vocab_size=220, special_tokens=special, unk_token="<unk>", show_progress=False)
        tokenizer.train_from_iterator(TEXTS * 9, trainer)
    else:
        letters = sorted({letter for text in TEXTS for letter in text.replace(" ", "\u2581") if letter != "\n"})
        hexes = [f"<0x{byte:02X}>" for byte in range(256)]
        merges = [("\u2581", "p"), ("\u2581", "a"), ("\u2581", "q"), ("e", "s"), ("o", "n"), ("\u2581", "t"), ("e", "r"), ("Y", "es")]
        words = [*special, *hexes, *letters, *("".join(merge) for merge in merges)]
        vocabulary = {word: place for place, word in enumerate(dict.fromkeys(words))}
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
        before = [normalizers.Prepend("\u2581")] if model == "prepended" else []
        tokenizer.normalizer = normalizers.Sequence([*before, normalizers.Replace(" ", "\u2581")])
    return finish(folder, tokenizer, special, (single, pair), roles)


def finish(folder: Path, tokenizer: Tokenizer, special: list[str], joins: tuple[str, str | None], roles: dict[str, str]) -> Any:
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in special])
    known = [(word, tokenizer.token_to_id(word)) for word in special]
    single, pair = joins
    if single != "$A":
        tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=known)
    make: Any = PreTrainedTokenizerFast
    whole = make(tokenizer_object=tokenizer, model_max_length=LIMIT, **roles)
    whole.save_pretrained(folder)
    return whole


ROBERTA = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>"}
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
ROBERTA_JOINS = ("<s> $A </s>", "<s> $A </s> </s> $B </s>")


def bracketed(folder: Path, kind: str) -> Any:
    special = ["[PAD]", "[CLS]", "[SEP]", "<unk>"]
    roles = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "<unk>"}
    single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
    if kind == "unigram":
        return spaced(folder, kind, special, single, pair, **roles)
    return byte_level(folder, None, special, single, pair, **roles)


def classifier(folder: Path, family: str, tokenizer: Any, **more: Any) -> None:
    config = AutoConfig.for_model(
        family,
        **{
            **SMALL,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": LIMIT,
            "pad_token_id": tokenizer.pad_token_id,
            "num_labels": 1,
            **more,
        },
    )
    torch.manual_seed(7)
    make: Any = AutoModelForSequenceClassification
    make.from_config(config).save_pretrained(folder)


def decoder(folder: Path, family: str, tokenizer: Any, make_config: Callable[..., Any], make_model: Callable[..., Any]) -> None:
    """A sequence classifier of transformers, whose weights are laid out as NVIDIA's are; only config.json is its own."""
    torch.manual_seed(7)
    config = make_config(vocab_size=len(tokenizer), num_labels=1, pad_token_id=0, **DECODER)
    make_model(config).save_pretrained(folder)
    path = folder / "config.json"
    content = json.loads(path.read_text())
    name = content["architectures"][0].replace("For", "BidirectionalFor")
    path.write_text(json.dumps({**content, "model_type": family, "architectures": [name], "pooling": "avg", "temperature": 0.5}))


def _bert(folder: Path) -> None:
    classifier(folder, "bert", word_pieces(folder))


def _electra(folder: Path) -> None:
    classifier(folder, "electra", word_pieces(folder), embedding_size=24)


def _distilbert(folder: Path) -> None:
    classifier(folder, "distilbert", word_pieces(folder), dim=48, n_layers=2, n_heads=4, hidden_dim=96)


def _roberta(folder: Path) -> None:
    tokenizer = byte_level(folder, None, ROBERTA_SPECIAL, *ROBERTA_JOINS, **ROBERTA)
    classifier(folder, "roberta", tokenizer, max_position_embeddings=LIMIT + 2, type_vocab_size=1)


def _xlm_roberta(folder: Path) -> None:
    tokenizer = spaced(folder, "unigram", ROBERTA_SPECIAL, *ROBERTA_JOINS, **ROBERTA)
    classifier(folder, "xlm-roberta", tokenizer, max_position_embeddings=LIMIT + 2, type_vocab_size=1)


def _modernbert(folder: Path) -> None:
    classifier(folder, "modernbert", bracketed(folder, "bytes"), classifier_pooling="mean", num_hidden_layers=4, local_attention=16)


def _deberta(folder: Path) -> None:
    kinds = {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
    }
    classifier(folder, "deberta-v2", bracketed(folder, "unigram"), type_vocab_size=0, position_biased_input=False, **kinds)


def _llama(folder: Path) -> None:
    special = ["<|begin_of_text|>", "<|eot_id|>"]
    tokenizer = byte_level(folder, LLAMA_3, special, "<|begin_of_text|> $A", None, bos_token=special[0], eos_token=special[1])
    decoder(folder, "llama_bidirec", tokenizer, LlamaConfig, LlamaForSequenceClassification)


def _mistral(folder: Path) -> None:
    special = ["<unk>", "<s>", "</s>"]
    tokenizer = spaced(folder, "prepended", special, "<s> $A", None, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    decoder(folder, "mistral_bidirec", tokenizer, MistralConfig, MistralForSequenceClassification)


def _qwen3(folder: Path) -> None:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = byte_level(folder, QWEN, special, "$A", None, pad_token=special[0], eos_token=special[2])
    tokenizer.model_max_length = LANGUAGE_MODEL_LIMIT
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = Qwen3Config(vocab_size=len(tokenizer), **{**DECODER, "max_position_embeddings": LANGUAGE_MODEL_LIMIT})
    Qwen3ForCausalLM(config).save_pretrained(folder)


def _gemma(folder: Path) -> None:
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    tokenizer = spaced(
        folder, "plain", special, "<bos> $A", None, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )
    tokenizer.model_max_length = LANGUAGE_MODEL_LIMIT
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = GemmaConfig(vocab_size=len(tokenizer), pad_token_id=0, **{**DECODER, "max_position_embeddings": LANGUAGE_MODEL_LIMIT})
    GemmaForCausalLM(config).save_pretrained(folder)


def _vision_language(folder: Path) -> None:
    from tests.vl_checkpoint import make_checkpoint  # noqa: PLC0415 (it takes its tokenizer from here)

    make_checkpoint(folder)


def sentencepiece_model(file: Path, kind: str, vocabulary_size: int, **options: Any) -> None:
    """A SentencePiece model, trained on the same sentences."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 9), model_writer=written, model_type=kind, vocab_size=vocabulary_size, minloglevel=2, **options
    )
    file.write_bytes(written.getvalue())


def _with_sentencepiece_alone(folder: Path, family: str, file: str, **more: Any) -> None:
    """A classifier whose tokenizer comes as a SentencePiece model and as nothing else; transformers converts it."""
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    classifier(folder, family, AutoTokenizer.from_pretrained(folder), **more)
    if [path.name for path in folder.glob("*token*")] or not (folder / file).is_file():
        raise AssertionError(f"{folder} holds another tokenizer than {file}")


def _xlm_roberta_sentencepiece(folder: Path) -> None:
    sentencepiece_model(folder / "sentencepiece.bpe.model", "unigram", 100)
    kinds = {"max_position_embeddings": LIMIT + 2, "type_vocab_size": 1}
    _with_sentencepiece_alone(folder, "xlm-roberta", "sentencepiece.bpe.model", **kinds)


def _deberta_sentencepiece(folder: Path) -> None:
    roles = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    pieces = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]", "user_defined_symbols": ["[MASK]"]}
    sentencepiece_model(folder / "spm.model", "unigram", 100, **roles, **pieces)
    kinds = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16, "norm_rel_ebd": "layer_norm"}
    _with_sentencepiece_alone(folder, "deberta-v2", "spm.model", type_vocab_size=0, position_biased_input=False, **kinds)


MAKE: dict[str, Callable[[Path], None]] = {
    "bert": _bert,
    "electra": _electra,
    "distilbert": _distilbert,
    "roberta": _roberta,
    "xlm-roberta": _xlm_roberta,
    "modernbert": _modernbert,
    "deberta-v2": _deberta,
    "llama_bidirec": _llama,
    "mistral_bidirec": _mistral,
    "qwen3": _qwen3,
    "gemma": _gemma,
    "llama_nemotron_vl_rerank": _vision_language,
    "xlm-roberta with sentencepiece.bpe.model": _xlm_roberta_sentencepiece,
    "deberta-v2 with spm.model": _deberta_sentencepiece,
}


def save(family: str, folder: Path) -> Path:
    """Writes a checkpoint of the family to `folder` and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    MAKE[family](folder)
    return folder
