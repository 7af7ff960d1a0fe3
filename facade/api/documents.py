"""The shape of Cohere, Jina, vLLM, infinity, LocalAI, SiliconFlow and Together: `documents` in, `results` out. One answer that the clients
of all of them parse. Knows no HTTP library.
"""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from facade.api.document import Document, Documents, Model, Query, read_documents, read_query
from facade.api.lenient import LenientErrorResponse, Options, Question, Usage, faultless, read_options, refusal, usage
from facade.api.relevance import score
from facade.api.shape import Allowed, Ranked, Shape
from facade.api.vllm_options import ScoringOptions

_TRUNCATED_IN_WARNING = 20


class DocumentsRequest(ScoringOptions):
    """Body of a rerank request with `documents`. Unknown fields are ignored, and null is absent."""

    model: Model = None
    query: Query = None
    documents: Documents = None
    top_n: Annotated[int, Field(ge=0, description="Results in the answer, the best ones; 0: all.")] = 0
    return_documents: Annotated[bool, Field(description="Whether a result has its document's text.")] = False
    rank_fields: Annotated[tuple[str, ...], Field(description="Of documents that are objects: the fields to rank, in this order.")] = ()
    truncation: Annotated[bool, Field(description="The same as truncate.")] = True
    truncation_side: Annotated[Literal["right"], Field(description="A document's end is cut.")] = "right"
    raw_scores: Annotated[bool, Field(description="Whether a score is the raw logit.")] = False
    return_logits: Annotated[bool, Field(description="The same as raw_scores.")] = False

    @property
    def raw(self) -> bool:
        """Whether a score is the raw logit."""
        return self.raw_scores or self.return_logits or super().raw


class Text(Options):
    """A document as it was ranked."""

    text: str


class DocumentsResult(Options):
    """One document; `document` only where the request asks for it."""

    index: Annotated[int, Field(description="The document's place in the request.")]
    relevance_score: Annotated[float, Field(description="sigmoid(logit), from 0 to 1; the logit itself where raw scores are asked for.")]
    document: Text | None = None


class DocumentsResponse(Options):
    """The documents, best first by their logits; equal ones keep the request's order. `meta.warnings` names the truncated ones."""

    id: str
    object: Literal["rerank"]
    model: str
    results: list[DocumentsResult]
    usage: Usage
    meta: dict[str, Any]


def _parse(content: Any, allowed: Allowed) -> Question:
    asked = read_options(DocumentsRequest, content)
    query, documents = faultless(read_query(asked.query), read_documents(asked.documents, allowed, fields=asked.rank_fields))
    return Question(
        query,
        documents,
        partial(_answer, asked, documents),
        truncates=asked.truncate and asked.truncation,
        most_rankings=asked.top_n or None,
        limits=asked.limits,
    )


def _answer(asked: DocumentsRequest, documents: list[Document], ranked: Ranked) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    for ranking in ranked.rankings:
        result: dict[str, Any] = {"index": ranking.index, "relevance_score": score(ranking.logit, raw=asked.raw)}
        if asked.return_documents:
            result["document"] = {"text": documents[ranking.index].text}
        results.append(result)
    meta = {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": ranked.tokens, "output_tokens": 0}}
    return {
        "id": f"rerank-{ranked.request_id}",
        "object": "rerank",
        "model": ranked.model,
        "results": results,
        "usage": usage(ranked.tokens),
        "meta": {**meta, "warnings": _warnings(ranked)} if ranked.truncated else meta,
    }


def _warnings(ranked: Ranked) -> list[str]:
    """One warning, which names the documents that were cut."""
    named = ", ".join(map(str, ranked.truncated[:_TRUNCATED_IN_WARNING]))
    more = len(ranked.truncated) - _TRUNCATED_IN_WARNING
    listed = f"{named} and {more} more" if more > 0 else named
    alone = "; the query alone fills the limit, so nothing of them was read" if ranked.query_truncated else ""
    return [f"truncated to the limit of tokens: documents {listed}{alone}"]


SHAPE = Shape(
    "documents",
    "Rerank documents, as Cohere, Jina, vLLM, infinity, LocalAI, SiliconFlow and Together",
    _parse,
    DocumentsRequest,
    DocumentsResponse,
    {"query": "which rock floats", "documents": ["basalt", "pumice"], "top_n": 1, "return_documents": True},
    keys=("documents",),
    lenient=True,
    refuse=refusal,
    error=LenientErrorResponse,
)
