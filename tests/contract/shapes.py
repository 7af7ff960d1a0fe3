"""Bodies of each request shape for one query and its passages, and each answer as (index, score) in the answer's order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.contract.calls import Answer


@dataclass(frozen=True)
class Spoken:
    """One shape as a client speaks it: its path, its body, where the entries of an answer are, and what asks for raw logits."""

    name: str
    path: str
    body: Callable[[str, Sequence[str]], dict[str, Any]]
    entries: Callable[[Any], list[dict[str, Any]]]
    score: str
    raw: dict[str, object] | None = None
    ordered: bool = True

    def scores(self, answer: Answer) -> list[tuple[int, float]]:
        assert answer.status == 200, answer.text
        return [(entry["index"], entry[self.score]) for entry in self.entries(answer.body)]


def _documents(query: str, texts: Sequence[str]) -> dict[str, Any]:
    return {"query": query, "documents": list(texts)}


DOCUMENTS = Spoken("documents", "/v1/rerank", _documents, lambda body: list(body["results"]), "relevance_score", {"raw_scores": True})
VLLM = Spoken("vllm", "/rerank", _documents, lambda body: list(body["results"]), "relevance_score", {"use_activation": False})
LOGITS = Spoken("logits", "/v2/rerank", _documents, lambda body: list(body["results"]), "relevance_score", {"return_logits": True})
OBJECTS = Spoken(
    "objects",
    "/v2/rerank",
    lambda query, texts: {"query": query, "documents": [{"text": text} for text in texts]},
    lambda body: list(body["results"]),
    "relevance_score",
    {"activation": False},
)
TEXTS = Spoken("texts", "/rerank", lambda query, texts: {"query": query, "texts": list(texts)}, list, "score", {"raw_scores": True})
VOYAGE = Spoken(
    "voyage",
    "/v1/rerank",
    lambda query, texts: {"query": query, "documents": list(texts), "model": "rerank-2", "top_k": None, "truncation": True},
    lambda body: list(body["data"]),
    "relevance_score",
)
SCORE = Spoken(
    "score",
    "/v1/score",
    lambda query, texts: {"text_1": query, "text_2": list(texts)},
    lambda body: list(body["data"]),
    "score",
    {"use_activation": False},
    ordered=False,
)
SHAPES = [DOCUMENTS, VLLM, LOGITS, OBJECTS, TEXTS, VOYAGE, SCORE]
