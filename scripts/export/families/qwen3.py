"""Qwen3-Reranker: a causal language model that is asked for "yes" or "no"; the logit is yes minus no at the last token.

Prompt and instruction as the model was trained with them, read in vLLM's qwen3_reranker template. The document is cut where a pair is too
long, never what follows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3ForCausalLM

from scripts.export.checkpoint import Checkpoint, ExportError
from scripts.export.families.causal import LastToken, Parts, checkpoint
from scripts.export.prompt import Prompt, as_pair_encoding
from scripts.export.tokenizer import load as load_tokenizer

INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
PROMPT = Prompt(
    before="<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
    query_prefix=f"<Instruct>: {INSTRUCTION}\n<Query>: ",
    query_suffix="\n",
    passage_prefix="<Document>: ",
    after="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)


def load(folder: Path, config: dict[str, Any], family: str) -> Checkpoint:
    """The reranker in `folder`. Raises ExportError for a tokenizer that has no token for yes or for no."""
    model: Any = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    tokenizer = load_tokenizer(folder)
    vocabulary = tokenizer.get_vocab()
    yes, no = (vocabulary.get(answer) for answer in ("yes", "no"))
    if yes is None or no is None:
        raise ExportError(f"{folder}: its tokenizer has no tokens of their own for yes and no, so it is no Qwen3 reranker")
    head = model.lm_head.weight
    module = LastToken(model.model, head[yes] - head[no]).eval()

    def reference(ids: torch.Tensor) -> float:
        with torch.inference_mode():
            scores = model(input_ids=ids).logits[0, -1]
        return float(scores[yes] - scores[no])

    encoding = as_pair_encoding(tokenizer, PROMPT)
    return checkpoint(Parts(family, module, reference), tokenizer, encoding, config)
