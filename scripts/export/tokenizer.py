"""Load a checkpoint's tokenizer, and refuse one that does not fit its model. Knows ids and texts, neither graphs nor weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedModel

from scripts.export import sentencepieces
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.log import warn

SHOWN = 3  # tokens that a message lists
END = "right"
VOCABULARIES = "tokenizer.json (or vocab.txt, vocab.json with merges.txt, a SentencePiece model)"


def load(folder: Path, kind: Any = AutoTokenizer) -> Any:
    """The tokenizer in `folder`, loaded by `kind`; texts that are too long lose their end, whatever its own configuration says.

    Raises ExportError, before any text is tokenised, where the vocabulary is missing, or where an added token would match everywhere.
    """
    tokenizer = kind.from_pretrained(folder)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ExportError(f"{folder}: {type(tokenizer).__name__} can't be written as a tokenizer.json, which is what is served")
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):  # transformers makes one up where the files are missing
        raise ExportError(f"{folder} has no vocabulary for its {type(tokenizer).__name__}: put {VOCABULARIES} of its author there")
    sentencepieces.add_table(folder, tokenizer)
    _refuse_empty_tokens(folder, tokenizer)
    sentencepieces.check(folder, tokenizer)
    if tokenizer.truncation_side != END:
        warn(f"{folder} cuts the start of a text that is too long (truncation_side); served, it loses its end as with every model")
        tokenizer.truncation_side = END
    return tokenizer


def pad_id(tokenizer: Any, configured: int | None) -> int:
    """The token id of padding: the tokenizer's, or `configured` by the model.

    Padding is masked, so if neither has one, any other id of the vocabulary does.
    """
    candidates = (tokenizer.pad_token_id, configured, tokenizer.eos_token_id, tokenizer.sep_token_id)
    return next((int(candidate) for candidate in candidates if candidate is not None), 0)


def check_ids(checkpoint: Checkpoint) -> None:
    """Raise ExportError where an id of the tokenizer, of the pair encoding or of the padding has no row in the model's embeddings."""
    model: Any = next(part for part in checkpoint.module.modules() if isinstance(part, PreTrainedModel))
    rows = int(model.get_input_embeddings().num_embeddings)
    vocabulary = checkpoint.tokenizer.get_vocab()
    beyond = sorted((token_id, token) for token, token_id in vocabulary.items() if token_id >= rows)
    if beyond:
        more = f" and {len(beyond) - SHOWN} more" if len(beyond) > SHOWN else ""
        listed = ", ".join(f"{token!a} ({token_id})" for token_id, token in beyond[:SHOWN])
        raise ExportError(
            f"the tokenizer has tokens beyond the model's {rows:,} embeddings: {listed}{more}; a text with one of them can't be scored: "
            "call model.resize_token_embeddings(len(tokenizer)) where they were added, train them and save the checkpoint again"
        )
    encoding = checkpoint.pair_encoding
    special = {checkpoint.pad_id, *encoding.before_query, *encoding.between, *encoding.after_passage}
    wrong = sorted(token_id for token_id in special if not 0 <= token_id < rows)
    if wrong:
        raise ExportError(f"the ids {wrong} of special tokens or padding are outside of the model's {rows:,} embeddings: correct them")


def _refuse_empty_tokens(folder: Path, tokenizer: Any) -> None:
    """An added token that the normaliser leaves nothing of matches between all letters: texts fall apart, or the library panics."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
    emptied = [token.content for token in added.values() if normalizer and token.normalized and not normalizer.normalize_str(token.content)]
    if emptied:
        listed = ", ".join(" ".join(f"U+{ord(letter):04X}" for letter in content) for content in emptied[:SHOWN])
        raise ExportError(
            f"{folder}: the tokenizer's normaliser leaves nothing of its added tokens {listed}, which then match between all letters "
            '(an error of the tokenizers library): remove them, or give them "normalized": false in tokenizer.json'
        )
