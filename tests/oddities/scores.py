"""transformers' own score of a checkpoint, computed from its files without the export's code: what a served score is held to.

Prompts are written out as they were read in the models' documentation, so that they can't be wrong in the same way as the export's.
"""

import inspect
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import CrossEncoder
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
    PreTrainedTokenizerFast,
)

from tests import own_names_oracle
from tests.tiny_checkpoints import JINA, MODULAR
from tests.tiny_checkpoints.dimensions import LANGUAGE_MODEL_LIMIT
from tests.tiny_checkpoints.tokenizers import LIMIT
from tests.vl_oracle import Oracle

Score = Callable[[str, str], float]
LOGITS = {"": lambda logits: logits[0], "second": lambda logits: logits[1] - logits[0], "first": lambda logits: logits[0] - logits[1]}
QWEN3 = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. "
    'Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    "<Query>: {query}\n<Document>: {passage}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)
TEMPLATE = (
    "<|im_start|>system\nIs it an answer?<|im_end|>\n<|im_start|>user\n<Query>: {query}\n<Document>: {passage}<|im_end|>\n"
    "<|im_start|>assistant\n"
)
GEMMA = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a prediction "
    "of either 'Yes' or 'No'."
)
MXBAI = (
    "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n<|im_start|>user\n",
    "You are a search relevance expert who evaluates how well documents match search queries. For each query-document pair, carefully "
    "analyze the semantic relationship between them, then provide your binary relevance judgment (0 for not relevant, 1 for relevant).\n"
    "Relevance:",
    "<|im_end|>\n<|im_start|>assistant\n",
)
BOTH_WAYS: dict[str, tuple[str, Any, Any]] = {
    "llama_bidirec": ("llama", LlamaConfig, LlamaForSequenceClassification),
    "mistral_bidirec": ("mistral", MistralConfig, MistralForSequenceClassification),
}


def own_score(folder: Path, family: str, scored_as: str) -> Score:
    """The score of a pair by the checkpoint in `folder`; `scored_as`: see Odd."""
    if "CrossEncoder" in scored_as:
        return _cross_encoder(folder, scored_as)
    if "template" in scored_as:
        return _qwen3(folder, scored_as)
    return BY_FAMILY.get(family, _pair)(folder, scored_as)


def _pair(folder: Path, scored_as: str) -> Score:
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    known = inspect.signature(model.forward).parameters

    def score(query: str, passage: str) -> float:
        given = tokenizer([query], [passage], truncation="only_second", max_length=LIMIT, return_tensors="pt")
        logits = model(**{name: tensor for name, tensor in given.items() if name in known}).logits[0]
        return float(LOGITS[scored_as](logits))

    return score


def _both_ways(family: str, folder: Path, scored_as: str) -> Score:
    """A mask of four dimensions, all zeros, lets every token see every other one, whatever the model's own mask is."""
    kind, make_config, make_model = BOTH_WAYS[family]
    stored: dict[str, Any] = json.loads((folder / "config.json").read_text())
    config = make_config.from_dict({**stored, "model_type": kind})
    model = make_model.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    limit = min(LIMIT, stored.get("sliding_window") or LIMIT)

    def score(query: str, passage: str) -> float:
        text = f"question:{query} \n \n passage:{passage}"
        ids = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")["input_ids"]
        seen = torch.zeros(1, 1, ids.shape[1], ids.shape[1])
        states = model.model(input_ids=ids, attention_mask=seen).last_hidden_state
        return float(LOGITS[scored_as](model.score(states.mean(dim=1))[0])) / float(stored.get("temperature", 1.0))

    return score


def _cut(pair: list[int], after: list[int]) -> list[int]:
    """The ids of a language model's prompt; of a pair that is too long the passage loses its end, never what follows."""
    return [*pair[: LANGUAGE_MODEL_LIMIT - len(after)], *after]


def _gemma(folder: Path, scored_as: str) -> Score:
    make: Any = AutoModelForSequenceClassification if "classifier" in scored_as else AutoModelForCausalLM
    model = make.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def words(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    yes = words("Yes")[0]

    def score(query: str, passage: str) -> float:
        pair, asked = (
            [token for text in texts for token in words(text)] for texts in ((f"A: {query}", "\n", f"B: {passage}"), ("\n", GEMMA))
        )
        ids = _cut([tokenizer.bos_token_id, *pair], asked)
        logits = model(input_ids=torch.tensor([ids])).logits[0]
        return float(logits[0] if "classifier" in scored_as else logits[-1, yes])

    return score


def _mxbai(folder: Path, scored_as: str) -> Score:
    make: Any = AutoModelForSequenceClassification if "classifier" in scored_as else AutoModelForCausalLM
    model = make.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def words(*texts: str) -> list[int]:
        return [token for text in texts for token in tokenizer(text, add_special_tokens=False)["input_ids"]]

    one, zero = words("1", "0")

    def score(query: str, passage: str) -> float:
        pair = words(MXBAI[0], f"query: {query}", "\n", f"document: {passage}")
        logits = model(input_ids=torch.tensor([_cut(pair, words("\n", *MXBAI[1:]))])).logits[0]
        if "classifier" in scored_as:
            return float(LOGITS[scored_as.removeprefix("classifier").strip()](logits))
        return float(logits[-1, one] - logits[-1, zero])

    return score


def _cross_encoder(folder: Path, _: str) -> Score:
    """By sentence-transformers."""
    model = CrossEncoder(str(folder), device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32})
    return lambda query, passage: float(model.predict([(query, passage)], activation_fn=torch.nn.Identity(), show_progress_bar=False)[0])


def _qwen3(folder: Path, scored_as: str) -> Score:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = tokenizer.get_vocab()
    make: Any = AutoModelForSequenceClassification if "classifier" in scored_as else AutoModelForCausalLM
    model = make.from_pretrained(folder, dtype=torch.float32).eval()
    prompt, after = (TEMPLATE if "template" in scored_as else QWEN3).split("{passage}")

    def score(query: str, passage: str) -> float:
        ids = _cut(*(tokenizer(text)["input_ids"] for text in (prompt.format(query=query) + passage, after)))
        logits = model(input_ids=torch.tensor([ids])).logits[0]
        if "classifier" in scored_as:
            return float(logits[0])
        return float(logits[-1, words["Yes"]] if "Yes" in scored_as else logits[-1, words["yes"]] - logits[-1, words["no"]])

    return score


BY_FAMILY: dict[str, Callable[[Path, str], Score]] = {
    **{family: partial(_both_ways, family) for family in BOTH_WAYS},
    **dict.fromkeys(("llama", "gemma2", "gemma3_text", MODULAR), _cross_encoder),
    "qwen2": _mxbai,
    "qwen3": _qwen3,
    "gemma": _gemma,
    "new": lambda folder, _: own_names_oracle.alibaba(folder),
    JINA: lambda folder, _: own_names_oracle.jina(folder),
    "llama_nemotron_vl_rerank": lambda folder, _: Oracle(folder).logit,
}
