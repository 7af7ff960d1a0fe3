"""Rerankers like bge-reranker-v2-gemma: a causal language model whose logit of "Yes" at the last token is the score.

Query, passage and question are tokenised one by one and joined by a line feed, as FlagEmbedding does it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import GemmaForCausalLM

from facade.reranking.bundle import PairEncoding
from scripts.export import declared
from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families.causal import LastToken, Parts, checkpoint
from scripts.export.loading import load_whole
from scripts.export.tokenizer import load as load_tokenizer

CLASS = "GemmaForCausalLM"

QUESTION = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a prediction of either "
    "'Yes' or 'No'."
)


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The reranker in `folder`. Raises ExportError for another class, weights that are not whole, and a tokenizer without a first token."""
    declared.check(folder, config, [CLASS])
    declared.check_no_prompt(folder)
    model: Any = load_whole(GemmaForCausalLM, folder, attn_implementation="sdpa")
    tokenizer = load_tokenizer(folder)
    if tokenizer.bos_token_id is None:
        raise ExportError(
            f"{folder}: its tokenizer has no bos_token, with which each pair of this family begins: name it in tokenizer_config.json"
        )

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    yes = ids("Yes")[0]
    joint = ids("\n")
    encoding = PairEncoding(
        before_query=(int(tokenizer.bos_token_id),),
        between=tuple(joint),
        after_passage=(*joint, *ids(QUESTION)),
        segment_ids=False,
        query_prefix="A: ",
        passage_prefix="B: ",
    )

    def reference(tokens: torch.Tensor) -> float:
        with torch.inference_mode():
            return float(model(input_ids=tokens).logits[0, -1, yes])

    module = LastToken(model.model, model.lm_head.weight[yes]).eval()
    return checkpoint(Parts(family, module, reference), tokenizer, encoding, model.config)
