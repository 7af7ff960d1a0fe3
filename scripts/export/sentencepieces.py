"""Holds the tokenizer that transformers builds to the files it was built from: tokenizer.json, or else a SentencePiece model.

transformers 5 builds some tokenizers (DeBERTa-v2's) anew from the vocabulary alone and leaves out SentencePiece's table of characters,
which makes a space of a no-break space and letters of a ligature. The checkpoint was trained with it. Knows tokenizers, no model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer, normalizers
from transformers.convert_slow_tokenizer import SentencePieceExtractor

from facade.bundle import TOKENIZER
from scripts.export.checkpoint import ExportError
from scripts.export.log import warn
from scripts.export.prompt import TRIED

TABLE = "Precompiled"  # what the tokenizers library calls the table
# What the table changes (spaces that are none of ASCII's, a ligature, wide letters), accents and capitals, which some tokenizers take off.
CHANGED = ("a\u00a0b", "a\u200bb", "a\u3000b", "\ufb01ne", "\uff37\uff49\uff44\uff45", "e\u0301t\u00e9", "two  spaces", "Two Roads")

Cut = Callable[[str], list[Any]]  # a text -> its tokens, or their ids


def complete(folder: Path, tokenizer: Any) -> None:
    """Give `tokenizer`, loaded from `folder`, the table of characters where it was left out.

    Raises ExportError where it is built from a SentencePiece model and cuts texts otherwise.
    """
    file = folder / TOKENIZER
    if file.is_file():
        _hold_to_file(tokenizer, file)
        return
    model = folder / str(type(tokenizer).vocab_files_names.get("vocab_file", ""))
    if model.suffix == ".model" and model.is_file():
        _hold_to_sentencepiece(tokenizer, model)


def _hold_to_file(tokenizer: Any, file: Path) -> None:
    own = Tokenizer.from_file(str(file))
    backend = tokenizer.backend_tokenizer
    if _has_table(own) and not _has_table(backend):
        backend.normalizer, backend.pre_tokenizer = own.normalizer, own.pre_tokenizer
    text = _first_difference(lambda text: _ids(backend, text), lambda text: _ids(own, text))
    if text is not None:
        warn(f"transformers cuts {text!a} in another way than {file} does; it is served as transformers cuts it")


def _hold_to_sentencepiece(tokenizer: Any, model: Path) -> None:
    table = SentencePieceExtractor(str(model)).proto.normalizer_spec.precompiled_charsmap
    backend = tokenizer.backend_tokenizer
    if table and not _has_table(backend):
        others = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([normalizers.Precompiled(table), *others])
    own = SentencePieceProcessor(model_file=str(model))
    unknown = own.unk_id()

    def cut(text: str) -> list[str]:
        pieces = own.encode(text, out_type=str)
        return [str(tokenizer.unk_token) if own.piece_to_id(piece) == unknown else piece for piece in pieces]

    text = _first_difference(lambda text: tokenizer.convert_ids_to_tokens(_ids(backend, text)), cut)
    if text is not None:
        raise ExportError(
            f"transformers builds a tokenizer of {model} that cuts {text!a} in another way than SentencePiece does: "
            f"put the {TOKENIZER} of the checkpoint's author beside it"
        )


def _first_difference(cut: Cut, other: Cut) -> str | None:
    """The first of the tried texts that the two cut differently; None where there is none."""
    return next((text for text in (*CHANGED, *TRIED) if cut(text) != other(text)), None)


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def _has_table(tokenizer: Tokenizer) -> bool:
    return TABLE in repr(tokenizer.normalizer)
