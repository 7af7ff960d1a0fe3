"""The shape of Weaviate's own inference containers (reranker-transformers): `documents` with `property` in, `scores` out in the request's
order. Knows no HTTP library.
"""

from functools import partial
from typing import Annotated, Any

from pydantic import Field

from facade.api.document import Document, Documents, Query, read_documents, read_query
from facade.api.lenient import LenientErrorResponse, Options, Question, faultless, read_options, refusal
from facade.api.relevance import relevance
from facade.api.shape import Allowed, Ranked, Shape


class WeaviateRequest(Options):
    """Body of a request of Weaviate's module reranker-transformers. Unknown fields are ignored, and null is absent."""

    query: Query = None
    documents: Documents = None
    property: Annotated[str, Field(description="Ignored.")] = ""


class WeaviateScore(Options):
    """One document and its relevance, sigmoid(logit), from 0 to 1."""

    document: str
    score: float


class WeaviateResponse(Options):
    """All documents, in the request's order."""

    query: str
    scores: list[WeaviateScore]


def _parse(content: Any, allowed: Allowed) -> Question:
    asked = read_options(WeaviateRequest, content)
    query, documents = faultless(read_query(asked.query), read_documents(asked.documents, allowed))
    return Question(query, documents, partial(_answer, query, documents))


def _answer(query: str, documents: list[Document], ranked: Ranked) -> dict[str, Any]:
    logits = {ranking.index: ranking.logit for ranking in ranked.rankings}
    scores = [{"document": document.text, "score": relevance(logits[index])} for index, document in enumerate(documents)]
    return {"query": query, "scores": scores}


SHAPE = Shape(
    "weaviate",
    "Rerank documents, as Weaviate's module reranker-transformers: with property",
    _parse,
    WeaviateRequest,
    WeaviateResponse,
    {"query": "which rock floats", "documents": ["basalt", "pumice"], "property": ""},
    keys=("property",),
    lenient=True,
    refuse=refusal,
    error=LenientErrorResponse,
)
