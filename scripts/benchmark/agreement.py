"""Whether a contender scores rightly: its scores of fixed requests against transformers' own, fp32. Knows no contender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from facade.reranking.bundle import TOKENIZER, Bundle
from scripts.benchmark.load import RefusedError, Send
from scripts.benchmark.workload import Ask, Texts
from scripts.bert.rebuilt import rebuild
from scripts.export.parity import TOLERANCES

RIGHT, COARSE, WRONG = "right", "coarse", "WRONG"
REQUESTS, PASSAGES = 12, 10  # 120 pairs: a few seconds even of the slowest peer
# As far as the export's gate lets bfloat16 and int8 go, in units of the reference's spread where that is above 1; the same for everybody.
# Measured on the default model: bfloat16 differs by 0.06 at most, int8 by 0.54, missing segment ids by 6.7.
LIMIT, COARSE_LIMIT = TOLERANCES["bf16"].difference, TOLERANCES["int8"].difference
# A sigmoid in single precision tells logits apart up to here; beyond it is 1, or a number that no longer tells.
_SATURATED = 12.0

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How scores compare: the largest difference of a logit, the share of requests with another first passage, and the verdict."""

    largest: float
    changed_firsts: float
    verdict: str


@dataclass(frozen=True)
class Reference:
    """Fixed requests and the logits of each that are right."""

    asks: list[Ask]
    logits: list[Logits]

    def compare(self, scores: Sequence[Sequence[float]], *, sigmoid: bool) -> Agreement:
        """`scores`, one list a request, against the reference's. A score that is no number is wrong."""
        found = [logits_of(np.asarray(own, np.float64), sigmoid=sigmoid) for own in scores]
        expected = [np.clip(own, -_SATURATED, _SATURATED) if sigmoid else own for own in self.logits]
        differences = np.abs(np.concatenate(found) - np.concatenate(expected))
        largest = float(differences.max()) if np.isfinite(differences).all() else float("inf")
        spread = max(float(np.concatenate(self.logits).std()), 1.0)
        changed = float(np.mean([own.argmax() != right.argmax() for own, right in zip(found, self.logits, strict=True)]))
        verdict = RIGHT if largest <= LIMIT * spread else COARSE if largest <= COARSE_LIMIT * spread else WRONG
        return Agreement(largest, changed, verdict)


def logits_of(scores: Logits, *, sigmoid: bool) -> Logits:
    """Scores as logits."""
    if not sigmoid:
        return scores
    with np.errstate(divide="ignore"):
        logits: Logits = np.clip(np.log(scores) - np.log1p(-scores), -_SATURATED, _SATURATED)
    return logits


async def check(send: Send, reference: Reference, *, sigmoid: bool) -> Agreement:
    """Ask the reference's requests and compare. Raises RefusedError where one is refused."""
    scores = [(await send(ask)).scores for ask in reference.asks]
    for ask, own in zip(reference.asks, scores, strict=True):
        if len(own) != len(ask.passages):
            raise RefusedError(f"{len(own)} scores for {len(ask.passages)} passages")
    return reference.compare(scores, sigmoid=sigmoid)


def reference(bundle: Bundle, texts: Texts) -> Reference:
    """The requests, scored by transformers in fp32, each pair alone."""
    asks = texts.check_asks(REQUESTS, PASSAGES)
    tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
    tokenizer.enable_truncation(bundle.max_seq_len, strategy="only_second")
    model = rebuild(bundle.folder)

    def logit(query: str, passage: str) -> float:
        encoded = tokenizer.encode(query, passage)
        inputs = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        return float(model(**{name: torch.tensor([ids]) for name, ids in inputs.items()}).logits[0, 0])

    with torch.inference_mode():
        logits = [np.array([logit(ask.query, passage) for passage in ask.passages], np.float64) for ask in asks]
    return Reference(asks, logits)
