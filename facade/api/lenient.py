"""What the lenient request shapes share: options as other servers take them, the checked request, and errors that their clients parse.

Unknown fields are ignored, null is absent, and a boolean or a number may be a string. Knows no request shape by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from facade.api.document import Document
from facade.api.faults import Fault, found, invalid
from facade.api.shape import Ranked
from facade.errors import ImageError, InputTooLongError, OverloadedError, RerankerError
from facade.reranking.images import Image
from facade.reranking.token_limits import NO_LIMITS, TokenLimits

Model = TypeVar("Model", bound=BaseModel)


class Options(BaseModel):
    """The fields of a body, the unknown ones ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Usage(BaseModel):
    """Tokens of all pairs after truncation; both fields are the same."""

    prompt_tokens: int
    total_tokens: int


def usage(tokens: int) -> dict[str, int]:
    """The entry that Usage describes."""
    return {"prompt_tokens": tokens, "total_tokens": tokens}


@dataclass(frozen=True)
class Question:
    """A checked request with any model name: the query, its documents, how long ones are treated, and what makes the answer."""

    query_text: str
    documents: Sequence[Document]
    answer: Callable[[Ranked], Any]
    truncates: bool = True
    most_rankings: int | None = None
    limits: TokenLimits = NO_LIMITS
    model: str | None = None

    @property
    def passage_texts(self) -> list[str]:
        """The documents' texts, in the request's order."""
        return [document.text for document in self.documents]

    @property
    def passage_images(self) -> Sequence[Image | None]:
        """The documents' images; empty where none has one."""
        images = [document.image for document in self.documents]
        return images if any(images) else ()


def read_options(model: type[Model], content: Any) -> Model:
    """The fields of a body. Raises InvalidRequestError that lists their faults."""
    if not isinstance(content, dict):
        raise invalid([Fault("", "expected a JSON object")])
    try:
        return model.model_validate({name: value for name, value in content.items() if value is not None})
    except ValidationError as error:
        raise invalid(found(error, (model,))) from None


def faultless(query: tuple[str, list[Fault]], documents: tuple[list[Document], list[Fault]]) -> tuple[str, list[Document]]:
    """The query and the documents, each with its faults as `facade.api.document` reads them. Raises InvalidRequestError that lists all."""
    if faults := query[1] + documents[1]:
        raise invalid(faults)
    return query[0], documents[0]


class LenientErrorResponse(BaseModel):
    """Every answer that isn't 2xx, with the fields that clients of Cohere, Jina, Voyage and OpenAI-style servers look for."""

    message: str
    detail: str
    error: dict[str, Any]


def refusal(error: RerankerError) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer for an error."""
    status = status_of(error)
    message = message_of(error)
    listed = error.detail.get("errors") or [{"path": None}]
    inner = {"message": message, "type": error.kind, "param": listed[0]["path"] or None, "code": status}
    return status, {"message": message, "detail": message, "error": inner}


def status_of(error: RerankerError) -> int:
    """429 for an overload: these clients come back after it, and some repeat a 503 at once. A pair over the limit is a bad request."""
    if isinstance(error, OverloadedError):
        return 429
    return 400 if isinstance(error, InputTooLongError) else error.status


def message_of(error: RerankerError, field: str = "documents") -> str:
    """The message, with the remedy of these shapes for a pair over the limit; `field`: the shape's name for passages."""
    if isinstance(error, InputTooLongError):
        return f"{error.message}: shorten the query or this document, or let it be truncated, which is the default"
    if isinstance(error, ImageError):
        return f"{field}[{error.index}]: {error.reason}"
    return error.message
