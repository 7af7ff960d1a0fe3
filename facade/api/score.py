"""The shape of vLLM's score API: a query and texts in, their scores out in the request's order. Knows no HTTP library."""

import time
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field

from facade.api.document import Documents, Model, Query, read_documents, read_query
from facade.api.faults import Fault, invalid
from facade.api.lenient import LenientErrorResponse, Options, Question, Usage, faultless, read_options, refusal, usage
from facade.api.relevance import score
from facade.api.shape import Allowed, Ranked, Shape
from facade.api.vllm_options import ScoringOptions

_QUERIES = ("queries", "text_1", "data_1", "query")
_DOCUMENTS = ("documents", "items", "text_2", "data_2")


class ScoreRequest(ScoringOptions):
    """Body of vLLM's score request, with one query. Unknown fields are ignored, and null is absent.

    The query may also be called text_1 or data_1, and the documents items, text_2 or data_2.
    """

    model: Model = None
    queries: Annotated[Query, Field(validation_alias=AliasChoices(*_QUERIES))] = None
    documents: Annotated[Documents, Field(validation_alias=AliasChoices(*_DOCUMENTS))] = None


class ScoreEntry(Options):
    """One document."""

    index: Annotated[int, Field(description="The document's place in the request.")]
    object: Literal["score"]
    score: Annotated[float, Field(description="sigmoid(logit), from 0 to 1; the logit itself without use_activation.")]


class ScoreResponse(Options):
    """All documents, in the request's order. `created`: seconds since 1970."""

    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[ScoreEntry]
    usage: Usage


def _parse(content: Any, allowed: Allowed) -> Question:
    asked = read_options(ScoreRequest, content)
    query, documents = faultless(read_query(_one(asked.queries), _QUERIES[0]), read_documents(asked.documents, allowed))
    return Question(query, documents, partial(_answer, asked.raw), truncates=asked.truncate, limits=asked.limits)


def _one(queries: Any) -> Any:
    """The query, which may be a list of one. Raises InvalidRequestError for several."""
    if not isinstance(queries, list):
        return queries
    if len(queries) > 1:
        raise invalid([Fault(_QUERIES[0], f"{len(queries)} queries, one is allowed: send a request for each query")])
    return queries[0] if queries else ""


def _answer(raw: bool, ranked: Ranked) -> dict[str, Any]:
    rankings = sorted(ranked.rankings, key=lambda ranking: ranking.index)
    return {
        "id": f"score-{ranked.request_id}",
        "object": "list",
        "created": int(time.time()),
        "model": ranked.model,
        "data": [{"index": each.index, "object": "score", "score": score(each.logit, raw=raw)} for each in rankings],
        "usage": usage(ranked.tokens),
    }


SHAPE = Shape(
    "score",
    "Score documents for a query, as vLLM: in the request's order",
    _parse,
    ScoreRequest,
    ScoreResponse,
    {"text_1": "which rock floats", "text_2": ["basalt", "pumice"]},
    keys=_QUERIES[:-1],
    lenient=True,
    refuse=refusal,
    error=LenientErrorResponse,
)
