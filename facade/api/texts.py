"""The shape of Text Embeddings Inference (TEI): `texts` in, a bare list out. Knows no HTTP library."""

from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, RootModel

from facade.api.document import Documents, Query, read_documents, read_query
from facade.api.lenient import Options, Question, faultless, message_of, read_options, status_of
from facade.api.relevance import score
from facade.api.shape import Allowed, Ranked, Shape
from facade.errors import InputTooLongError, InvalidRequestError, RerankerError

_FIELD = "texts"
_UNPROCESSABLE = 422
# TEI's words for the statuses of its own; they are capitalised on the wire.
_TYPES = {400: "Empty", 424: "Backend", 429: "Overloaded", 503: "Unhealthy"}


def _capitalised(value: Any) -> Any:
    return value.capitalize() if isinstance(value, str) else value


class TextsRequest(Options):
    """Body of TEI's rerank request. Unknown fields are ignored, and null is absent."""

    query: Query = None
    texts: Documents = None
    truncate: Annotated[bool, Field(description="Whether a text's end is cut where its pair is over the limit.")] = True
    truncation_direction: Annotated[Literal["Right"], BeforeValidator(_capitalised), Field(description="A text's end is cut.")] = "Right"
    raw_scores: Annotated[bool, Field(description="Whether a score is the raw logit.")] = False
    return_text: Annotated[bool, Field(description="Whether an entry has its text.")] = False
    top_n: Annotated[int, Field(ge=0, description="Entries in the answer, the best ones; 0: all. No field of TEI's.")] = 0


class TextsRank(Options):
    """One text; `text` only where the request asks for it."""

    index: Annotated[int, Field(description="The text's place in the request.")]
    score: Annotated[float, Field(description="sigmoid(logit), from 0 to 1; the logit itself with raw_scores.")]
    text: str | None = None


class TextsResponse(RootModel[list[TextsRank]]):
    """The texts, best first by their logits; equal ones keep the request's order."""


class TextsErrorResponse(BaseModel):
    """Every answer that isn't 2xx."""

    error: str
    error_type: str


def _parse(content: Any, allowed: Allowed) -> Question:
    asked = read_options(TextsRequest, content)
    query, documents = faultless(read_query(asked.query), read_documents(asked.texts, allowed, _FIELD))
    texts = [document.text for document in documents]
    return Question(query, documents, partial(_answer, asked, texts), truncates=asked.truncate, most_rankings=asked.top_n or None)


def _answer(asked: TextsRequest, texts: list[str], ranked: Ranked) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for ranking in ranked.rankings:
        entry: dict[str, Any] = {"index": ranking.index, "score": score(ranking.logit, raw=asked.raw_scores)}
        if asked.return_text:
            entry["text"] = texts[ranking.index]
        entries.append(entry)
    return entries


def _refusal(error: RerankerError) -> tuple[int, dict[str, str]]:
    status = _status(error)
    return status, {"error": _message(error), "error_type": _TYPES.get(status, "Validation")}


def _status(error: RerankerError) -> int:
    if isinstance(error, InputTooLongError):
        return _UNPROCESSABLE
    if type(error) is InvalidRequestError:
        empty = any(fault["path"] in {_FIELD, "query"} and fault["message"].startswith("empty") for fault in error.detail.get("errors", ()))
        return 400 if empty else _UNPROCESSABLE
    return 424 if error.status == 500 else status_of(error)


def _message(error: RerankerError) -> str:
    """The message; in TEI's words where clients look for them."""
    if isinstance(error, InputTooLongError):
        longest = max(pair["tokens"] for pair in error.detail["pairs"])
        return f"`inputs` must have less than {error.detail['max_tokens']} tokens. Given: {longest}; or leave truncate out"
    return message_of(error, _FIELD)


SHAPE = Shape(
    "texts",
    "Rerank texts, as Text Embeddings Inference (TEI)",
    _parse,
    TextsRequest,
    TextsResponse,
    {"query": "which rock floats", "texts": ["basalt", "pumice"], "raw_scores": False, "return_text": True},
    keys=(_FIELD,),
    lenient=True,
    refuse=_refusal,
    error=TextsErrorResponse,
)
