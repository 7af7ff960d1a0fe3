"""Hold the tokenizer that transformers builds to the files it was built from: tokenizer.json, or else a SentencePiece model.

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

from facade.reranking.bundle import TOKENIZER
from scripts.export.checkpoint import ExportError
from scripts.export.log import warn
from scripts.export.prompt import TRIED

ANY_CLASS = "tokenizer.model"  # the name that transformers looks for beside that of the class
TABLE = "Precompiled"  # what the tokenizers library calls the table
# What the table changes (spaces that are none of ASCII's, a ligature, wide letters), accents and capitals, which some tokenizers take off.
CHANGED = ("a\u00a0b", "a\u200bb", "a\u3000b", "\ufb01ne", "\uff37\uff49\uff44\uff45", "e\u0301t\u00e9", "two  spaces", "Two Roads")

Cut = Callable[[str], list[Any]]  # a text -> its tokens, or their ids


def add_table(folder: Path, tokenizer: Any) -> None:
    """Give `tokenizer`, loaded from `folder`, the table of characters where it was left out."""
    backend, file, model = tokenizer.backend_tokenizer, folder / TOKENIZER, _model(folder, tokenizer)
    if _has_table(backend):
        return
    if file.is_file():
        own = Tokenizer.from_file(str(file))
        if _has_table(own):
            backend.normalizer, backend.pre_tokenizer = own.normalizer, own.pre_tokenizer
    elif model:
        table = SentencePieceExtractor(str(model)).proto.normalizer_spec.precompiled_charsmap
        others = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([normalizers.Precompiled(table), *others]) if table else backend.normalizer


def check(folder: Path, tokenizer: Any) -> None:
    """Warn where `tokenizer` cuts a text in another way than tokenizer.json does: some classes read tokenizer_config.json instead.

    Raises ExportError where it was built from a SentencePiece model, which leaves nothing to choose, and cuts a text in another way.
    """
    backend, file, model = tokenizer.backend_tokenizer, folder / TOKENIZER, _model(folder, tokenizer)
    if file.is_file():
        own = Tokenizer.from_file(str(file))
        text = _first_difference(lambda text: _ids(backend, text), lambda text: _ids(own, text))
        if text is not None:
            warn(f"transformers cuts {text!a} in another way than {file} does; it is served as transformers cuts it")
    elif model:
        text = _first_difference(lambda text: tokenizer.convert_ids_to_tokens(_ids(backend, text)), _pieces(model, tokenizer))
        if text is not None:
            raise ExportError(
                f"transformers builds a tokenizer of {model} that cuts {text!a} in another way than SentencePiece does: "
                f"put the {TOKENIZER} of the checkpoint's author beside it"
            )


def _model(folder: Path, tokenizer: Any) -> Path | None:
    """The SentencePiece model that transformers builds `tokenizer` from; None where there is none."""
    names = (str(type(tokenizer).vocab_files_names.get("vocab_file", "")), ANY_CLASS)
    return next((folder / name for name in names if name.endswith(".model") and (folder / name).is_file()), None)


def _pieces(model: Path, tokenizer: Any) -> Cut:
    """SentencePiece's own way, its unknown pieces as `tokenizer` calls them."""
    own = SentencePieceProcessor(model_file=str(model))

    def cut(text: str) -> list[str]:
        return [piece if own.piece_to_id(piece) != own.unk_id() else str(tokenizer.unk_token) for piece in own.encode(text, out_type=str)]

    return cut


def _first_difference(cut: Cut, other: Cut) -> str | None:
    """The first of the tried texts that the two cut differently; None where there is none."""
    return next((text for text in (*CHANGED, *TRIED) if cut(text) != other(text)), None)


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def _has_table(tokenizer: Tokenizer) -> bool:
    return TABLE in repr(tokenizer.normalizer)
