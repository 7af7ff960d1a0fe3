"""Checks a contender's scores of fixed requests against transformers in fp32. Does not know the contenders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from facade.reranking.bundle import TOKENIZER, Bundle
from scripts.benchmark.load import RefusedError, Send
from scripts.benchmark.workload import Request, Texts
from scripts.bert.rebuilt import rebuild
from scripts.export.parity import TOLERANCES

RIGHT, COARSE, WRONG = "right", "coarse", "WRONG"
REQUESTS, PASSAGES = 12, 10  # 120 pairs take the slowest peer a few seconds
# The limits of the export's parity check for bfloat16 and int8, in units of the reference's spread if that is above 1.
# Measured on the default model: bfloat16 differs by up to 0.06, int8 by 0.54, missing segment ids by 6.7.
LIMIT, COARSE_LIMIT = TOLERANCES["bf16"].difference, TOLERANCES["int8"].difference
# Beyond this logit a sigmoid in single precision rounds to 1 or loses the difference.
_SATURATED = 12.0

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """The largest difference of a logit, the share of requests with another first passage, and the verdict."""

    largest: float
    changed_firsts: float
    verdict: str


@dataclass(frozen=True)
class Reference:
    """Fixed requests and their right logits. `offset_free`: what all logits have in common does not count, since it changes no order."""

    requests: list[Request]
    logits: list[Logits]
    offset_free: bool = False

    def compare(self, scores: Sequence[Sequence[float]], *, sigmoid: bool) -> Agreement:
        """`scores`, one list per request, against the reference. NaN and infinity are wrong."""
        found = [logits_of(np.asarray(own, np.float64), sigmoid=sigmoid) for own in scores]
        expected = [np.clip(own, -_SATURATED, _SATURATED) if sigmoid else own for own in self.logits]
        signed = np.concatenate(found) - np.concatenate(expected)
        differences = np.abs(signed - np.median(signed) if self.offset_free else signed)
        largest = float(differences.max()) if np.isfinite(differences).all() else float("inf")
        spread = max(float(np.concatenate(self.logits).std()), 1.0)
        changed = float(np.mean([own.argmax() != right.argmax() for own, right in zip(found, self.logits, strict=True)]))
        verdict = RIGHT if largest <= LIMIT * spread else COARSE if largest <= COARSE_LIMIT * spread else WRONG
        return Agreement(largest, changed, verdict)


def logits_of(scores: Logits, *, sigmoid: bool) -> Logits:
    """Scores as logits; with `sigmoid` they are sigmoids of logits."""
    if not sigmoid:
        return scores
    with np.errstate(divide="ignore"):
        logits: Logits = np.clip(np.log(scores) - np.log1p(-scores), -_SATURATED, _SATURATED)
    return logits


async def check(send: Send, reference: Reference, *, sigmoid: bool) -> Agreement:
    """Send the reference's requests and compare. Raises RefusedError if one is refused."""
    scores = [(await send(request)).scores for request in reference.requests]
    for request, own in zip(reference.requests, scores, strict=True):
        if len(own) != len(request.passages):
            raise RefusedError(f"{len(own)} scores for {len(request.passages)} passages")
    return reference.compare(scores, sigmoid=sigmoid)


def reference(bundle: Bundle, texts: Texts, count: int = REQUESTS, passages: int = PASSAGES) -> Reference:
    """`count` requests of `passages` passages, scored by transformers in fp32, each pair alone."""
    requests = texts.check_requests(count, passages)
    tokenizer = Tokenizer.from_file(str(bundle.folder / TOKENIZER))
    tokenizer.enable_truncation(bundle.max_seq_len, strategy="only_second")
    model = rebuild(bundle.folder)

    def logit(query: str, passage: str) -> float:
        encoded = tokenizer.encode(query, passage)
        inputs = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
        return float(model(**{name: torch.tensor([ids]) for name, ids in inputs.items()}).logits[0, 0])

    with torch.inference_mode():
        logits = [np.array([logit(request.query, passage) for passage in request.passages], np.float64) for request in requests]
    return Reference(requests, logits)
