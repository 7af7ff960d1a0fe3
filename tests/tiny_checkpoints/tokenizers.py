"""Tokenizers of each family's own kind, trained on a few sentences.

What matters is how they cut text: word pieces, byte-level BPE with Llama 3's or Qwen's rules, unigrams and byte-fallback BPE with a space
before the text.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from scripts.bert.base_model import base_tokenizer

LIMIT = 96  # tokens of a pair
LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
TEXTS = [
    "Two roads diverged in a yellow wood, and sorry I could not travel both.",
    "question:which way should i go? \n \n passage:then took the other, as just as fair",
    "Judge whether the Document meets the requirements.\nyes\nno\nYes\nNo",
    "<Instruct>: Given a web search query\n<Query>: what is it?\n<Document>: It is 1234 metres high.",
    "A: what is it?\nB: Given a query A and a passage B, determine whether the passage contains an answer.",
]
MXBAI = (
    "You are a search relevance expert who evaluates how well documents match search queries. For each query-document pair, carefully "
    "analyze the semantic relationship between them, then provide your binary relevance judgment (0 for not relevant, 1 for relevant).\n"
    "Relevance:"
)


ROBERTA = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>"}
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
ROBERTA_JOINS = ("<s> $A </s>", "<s> $A </s> </s> $B </s>")


def word_pieces(folder: Path) -> Any:
    tokenizer = base_tokenizer()
    tokenizer.model_max_length = LIMIT
    tokenizer.save_pretrained(folder)
    return tokenizer


def byte_level(
    folder: Path, pattern: str | None, special: list[str], single: str, pair: str | None, *, texts: Sequence[str] = TEXTS, **roles: str
) -> Any:
    """Byte-level BPE; `pattern` splits the text first, None means GPT-2's own way."""
    tokenizer = Tokenizer(models.BPE())
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    split = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [*texts] * 9, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
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


def bracketed(folder: Path, kind: str) -> Any:
    special = ["[PAD]", "[CLS]", "[SEP]", "<unk>"]
    roles = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "<unk>"}
    single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
    if kind == "unigram":
        return spaced(folder, kind, special, single, pair, **roles)
    return byte_level(folder, None, special, single, pair, **roles)


def sentencepiece_model(file: Path, kind: str, vocabulary_size: int, **options: Any) -> None:
    """A SentencePiece model, trained on the same sentences."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 9), model_writer=written, model_type=kind, vocab_size=vocabulary_size, minloglevel=2, **options
    )
    file.write_bytes(written.getvalue())
