"""Published rerankers whose checkpoints do not state their prompt: prompts and answer words.

Read in vLLM's qwen3_reranker template, in FlagEmbedding, and in mixedbread-ai/mxbai-rerank, mxbai_rerank_v2.py. Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facade.reranking.bundle import PairEncoding
from scripts.export.checkpoint import ExportError
from scripts.export.families.causal import Pairs
from scripts.export.labels import Labels
from scripts.export.prompt import Prompt, as_pair_encoding

INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
QWEN3_PROMPT = Prompt(
    before="<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
    query_prefix=f"<Instruct>: {INSTRUCTION}\n<Query>: ",
    query_suffix="\n",
    passage_prefix="<Document>: ",
    after="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)
BGE_QUESTION = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a prediction of either "
    "'Yes' or 'No'."
)
MXBAI_BEFORE = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
MXBAI_TASK = (
    "You are a search relevance expert who evaluates how well documents match search queries. For each query-document pair, carefully "
    "analyze the semantic relationship between them, then provide your binary relevance judgment (0 for not relevant, 1 for relevant).\n"
    "Relevance:"
)
MXBAI_AFTER = "<|im_end|>\n<|im_start|>assistant\n"
MXBAI_LONGEST = 8192  # tokens of query, line feed and passage


@dataclass(frozen=True)
class Original:
    """A published reranker. `pairs`: how its pairs are put together, by its tokenizer; `negative` is None where one answer is read."""

    name: str
    positive: str
    negative: str | None
    pairs: Callable[[Path, Any], Pairs]

    @property
    def words(self) -> list[str]:
        """The words of the answers, the positive one first."""
        return [self.positive] if self.negative is None else [self.positive, self.negative]

    def answers(self, tokenizer: Any) -> Labels | None:
        """The token ids of the answers; None where one is no token of its own."""
        found = [_ids(tokenizer, word) for word in self.words]
        return Labels(*(ids[0] for ids in found)) if all(len(ids) == 1 for ids in found) else None


def _qwen3(_: Path, tokenizer: Any) -> Pairs:
    return Pairs(as_pair_encoding(tokenizer, QWEN3_PROMPT))


def _bge(folder: Path, tokenizer: Any) -> Pairs:
    """Query, passage and question tokenised one by one and joined by a line feed."""
    if tokenizer.bos_token_id is None:
        raise ExportError(
            f"{folder}: its tokenizer has no bos_token, with which each pair of this family begins: name it in tokenizer_config.json"
        )
    joint = tuple(_ids(tokenizer, "\n"))
    encoding = PairEncoding(
        before_query=(int(tokenizer.bos_token_id),),
        between=joint,
        after_passage=(*joint, *_ids(tokenizer, BGE_QUESTION)),
        segment_ids=False,
        query_prefix="A: ",
        passage_prefix="B: ",
    )
    return Pairs(encoding)


def _mxbai(_: Path, tokenizer: Any) -> Pairs:
    """The parts of the prompt tokenised one by one, the texts and the task joined by a line feed."""
    joint = tuple(_ids(tokenizer, "\n"))
    encoding = PairEncoding(
        before_query=tuple(_ids(tokenizer, MXBAI_BEFORE)),
        between=joint,
        after_passage=(*joint, *_ids(tokenizer, MXBAI_TASK), *_ids(tokenizer, MXBAI_AFTER)),
        segment_ids=False,
        query_prefix="query: ",
        passage_prefix="document: ",
    )
    return Pairs(encoding, longest=MXBAI_LONGEST + len(encoding.before_query) + len(encoding.after_passage))


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


# By the model_type of config.json.
ORIGINALS = {
    "qwen2": Original("mxbai-rerank-v2", "1", "0", _mxbai),
    "qwen3": Original("Qwen3 reranker", "yes", "no", _qwen3),
    "gemma": Original("bge-reranker-v2-gemma", "Yes", None, _bge),
}
