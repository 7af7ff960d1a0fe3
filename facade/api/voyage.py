"""The shape of Voyage: `documents` with `top_k` or `truncation` in, `data` out. Knows no HTTP library."""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from facade.api.document import Document, Documents, Model, Query, read_documents, read_query
from facade.api.lenient import LenientErrorResponse, Options, Question, Usage, faultless, read_options, refusal, usage
from facade.api.relevance import relevance
from facade.api.shape import Allowed, Ranked, Shape


class VoyageRequest(Options):
    """Body of Voyage's rerank request. Unknown fields are ignored, and null is absent."""

    model: Model = None
    query: Query = None
    documents: Documents = None
    top_k: Annotated[int, Field(ge=0, description="Entries in the answer, the best ones; 0: all.")] = 0
    return_documents: Annotated[bool, Field(description="Whether an entry has its document's text.")] = False
    truncation: Annotated[bool, Field(description="Whether a document's end is cut where its pair is over the limit.")] = True


class VoyageEntry(Options):
    """One document; `document`, its text, only where the request asks for it."""

    index: Annotated[int, Field(description="The document's place in the request.")]
    relevance_score: Annotated[float, Field(description="sigmoid(logit), from 0 to 1.")]
    document: str | None = None


class VoyageResponse(Options):
    """The documents, best first by their logits; equal ones keep the request's order."""

    object: Literal["list"]
    data: list[VoyageEntry]
    model: str
    usage: Usage


def _parse(content: Any, allowed: Allowed) -> Question:
    asked = read_options(VoyageRequest, content)
    query, documents = faultless(read_query(asked.query), read_documents(asked.documents, allowed))
    answer = partial(_answer, asked, documents)
    return Question(query, documents, answer, truncates=asked.truncation, most_rankings=asked.top_k or None)


def _answer(asked: VoyageRequest, documents: list[Document], ranked: Ranked) -> dict[str, Any]:
    data: list[dict[str, Any]] = []
    for ranking in ranked.rankings:
        entry: dict[str, Any] = {"index": ranking.index, "relevance_score": relevance(ranking.logit)}
        if asked.return_documents:
            entry["document"] = documents[ranking.index].text
        data.append(entry)
    return {"object": "list", "data": data, "model": ranked.model, "usage": usage(ranked.tokens)}


SHAPE = Shape(
    "voyage",
    "Rerank documents, as Voyage: with top_k or truncation, and without top_n",
    _parse,
    VoyageRequest,
    VoyageResponse,
    {"query": "which rock floats", "documents": ["basalt", "pumice"], "top_k": 1},
    keys=("top_k", "truncation"),
    but_not=("top_n", "texts", "passages"),
    lenient=True,
    refuse=refusal,
    error=LenientErrorResponse,
)
