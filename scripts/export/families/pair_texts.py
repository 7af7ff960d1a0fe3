"""How the pairs of an encoder are tokenised: joined by its own tokenizer, with segment ids where tokenizer and model have them.

The pair encoding is read off the tokenizer, the limit off the loaded model's configuration; nothing is assumed of a particular model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facade.reranking.bundle import PairEncoding
from scripts.export import declared
from scripts.export.checkpoint import Checkpoint, Encoded, ExportError
from scripts.export.joined import PROBE, read_pair_encoding
from scripts.export.tokenizer import load as load_tokenizer
from scripts.export.tokenizer import pad_id

# RoBERTa's positions are counted from the padding id on, so as many fewer tokens fit.
OFFSET_POSITIONS = ("xlm-roberta", "roberta")


@dataclass(frozen=True)
class PairTexts:
    """A checkpoint's tokenizer, how it joins two texts, and the tokens of a pair."""

    tokenizer: Any
    encoding: PairEncoding
    limit: int

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the graph is given."""
        return ("input_ids", "attention_mask", *(("token_type_ids",) if self.encoding.segment_ids else ()))

    def encode(self, query: str, passage: str) -> Encoded:
        """transformers' own tokenisation; too long a pair loses the passage's end."""
        # A list of pairs: transformers takes an empty second text of a single call for none.
        pairs = [(self.encoding.query_prefix + query, passage)]
        cut = self.tokenizer(pairs, truncation="only_second", max_length=self.limit)
        ids = cut["input_ids"][0]
        return Encoded(ids, cut["token_type_ids"][0] if self.encoding.segment_ids else [0] * len(ids))

    def tensors(self, pair: Encoded) -> dict[str, Tensor]:
        """The pair as transformers' models take it, INT64 [1, sequence]."""
        segments = {"token_type_ids": torch.tensor([pair.segments])} if self.encoding.segment_ids else {}
        return {"input_ids": torch.tensor([pair.ids]), **segments}

    def checkpoint(self, family: str, config: Any, module: nn.Module, score: Callable[[dict[str, Tensor]], Tensor]) -> Checkpoint:
        """The checkpoint of an encoder with these texts.

        `config`: of the loaded model; `module`: what the graph is drawn of; `score`: the reference, a pair's tensors to its logit [1].
        """

        def reference(pair: Encoded) -> float:
            with torch.inference_mode():
                return float(score(self.tensors(pair))[0])

        return Checkpoint(
            family=family,
            module=module.eval(),
            inputs=self.inputs,
            tokenizer=self.tokenizer,
            pair_encoding=self.encoding,
            max_seq_len=self.limit,
            vocabulary_size=int(config.vocab_size),
            pad_id=pad_id(self.tokenizer, config.pad_token_id),
            encode=self.encode,
            reference=reference,
        )


def read(folder: Path, config: Any, family: str) -> PairTexts:
    """Those of the checkpoint in `folder`. `config`: of the loaded model. Raises ExportError where tokenizer and model don't fit."""
    tokenizer = load_tokenizer(folder)
    if tokenizer.chat_template is not None and declared.takes_messages(folder):
        raise ExportError(
            f"{folder}/{declared.TRANSFORMER} puts pairs into a chat template (modality_config), which is not known for encoders"
        )
    segments = _has_segments(folder, config, tokenizer)
    encoding = replace(read_pair_encoding(tokenizer, segments=segments), query_prefix=declared.query_prompt(folder))
    return PairTexts(tokenizer, encoding, _limit(folder, config, tokenizer, family))


def _has_segments(folder: Path, config: Any, tokenizer: Any) -> bool:
    """Whether the tokenizer makes segment ids and the model reads them. Without, transformers takes 0 for every token."""
    made = max(tokenizer(*PROBE).get("token_type_ids", [0]))
    known = getattr(config, "type_vocab_size", 0)
    if made and known == 1:
        raise ExportError(
            f"{folder}: its tokenizer makes segment ids 0 and 1, its model knows one (type_vocab_size): they do not belong together"
        )
    return bool(made and known > 1)


def _limit(folder: Path, config: Any, tokenizer: Any, family: str) -> int:
    """The tokens of a pair: what the positions allow, or a limit of the tokenizer or of sentence-transformers where that is lower."""
    positions = int(config.max_position_embeddings)
    if family in OFFSET_POSITIONS:
        if config.pad_token_id is None:
            raise ExportError(f"{folder}/config.json has no pad_token_id, from which {family} counts its positions: add it")
        positions -= int(config.pad_token_id) + 1
    stated = declared.sentence_transformers(folder, declared.TRANSFORMER).get("max_seq_length")
    return min(positions, int(tokenizer.model_max_length), int(stated or positions))
