"""The wire contract: requests, responses, their limits, and the words in which a fault is told. Knows no tensors and no HTTP library."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facade.api.json_text import read_json
from facade.errors import InvalidRequestError
from facade.reranking.ranking import MAX_PASSAGES, Ranking

MAX_MODEL_NAME = 128  # characters, as in NVIDIA's published schema
# A body can have a fault in each of 512 passages; the message names this many and counts the rest, the detail lists all.
_FAULTS_IN_MESSAGE = 5
# An object with more fields than this is no mistake: it is refused before each of millions of them becomes a fault of its own.
_MAX_FIELDS = 32
# Characters of a name of the caller's, a field's or a model's, that a message quotes.
_QUOTED = 64


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(_Strict):
    """What is asked."""

    text: Annotated[str, Field(min_length=1, description="The query; not empty.")]


class Passage(_Strict):
    """What may answer."""

    text: Annotated[str, Field(description="The passage.")]


class RankingRequest(_Strict):
    """Body of `POST /v1/ranking`: unknown fields are refused, and nothing is truncated unless asked for, as the NIM does."""

    model: Annotated[
        str | None, Field(min_length=1, max_length=MAX_MODEL_NAME, description="A served model; absent or null: the default.")
    ] = None
    query: Query
    passages: Annotated[list[Passage], Field(min_length=1, max_length=MAX_PASSAGES, description="What is to be ranked.")]
    truncate: Annotated[
        Literal["NONE", "END"],
        Field(
            description="What to do with a query and passage over the limit: refuse (NONE) or cut the passage's end (END); null: default."
        ),
    ] = "NONE"

    @property
    def most_rankings(self) -> int | None:
        """How many rankings are asked for, the best ones; None: all."""
        return None


class _LenientQuery(Query):
    model_config = ConfigDict(extra="ignore")


class _LenientPassage(Passage):
    model_config = ConfigDict(extra="ignore")


class HostedRankingRequest(RankingRequest):
    """Body of the hosted routes `/v1/retrieval/.../reranking`.

    Unknown fields are ignored, truncate defaults to END, and the rankings may be cut. Of `top_k` and `top_n` the smaller one counts.
    """

    model_config = ConfigDict(extra="ignore")

    query: _LenientQuery
    passages: Annotated[  # type: ignore[assignment]  # pydantic narrows the element type; lists are invariant for mypy
        list[_LenientPassage], Field(min_length=1, max_length=MAX_PASSAGES, description="What is to be ranked.")
    ]
    truncate: Literal["NONE", "END"] = "END"
    top_k: Annotated[int | None, Field(ge=1, description="Rankings in the answer, the best ones; absent or null: all.")] = None
    top_n: Annotated[int | None, Field(ge=1, description="The same as top_k.")] = None

    @property
    def most_rankings(self) -> int | None:
        """The smaller one of those that are given."""
        return min((count for count in (self.top_k, self.top_n) if count is not None), default=None)


class RankingEntry(BaseModel):
    """Exactly these two: strict parsers refuse an entry with more."""

    index: Annotated[int, Field(description="The passage's place in the request.")]
    logit: Annotated[float, Field(description="Raw logit: unbounded, higher is more relevant.")]


class Usage(BaseModel):
    """Tokens of all pairs after truncation; both fields are the same."""

    prompt_tokens: int
    total_tokens: int


class RankingResponse(BaseModel):
    """All passages, highest logit first; equal ones keep the request's order."""

    rankings: list[RankingEntry]
    usage: Usage


class ErrorResponse(BaseModel):
    """Every answer that isn't 2xx."""

    object: Literal["error"] = "error"
    message: str
    detail: dict[str, Any]
    type: str


@dataclass(frozen=True)
class _Fault:
    path: str
    message: str


def parse_ranking(body: bytes, *, hosted: bool) -> RankingRequest:
    """The request in `body`. Raises InvalidRequestError that lists every fault with its path, and quotes no text of the body."""
    content = read_json(body)
    if not hosted:  # where unknown fields are ignored they make no faults
        _refuse_crowds(content)
    _drop_nulls(content)
    faults = _images(content)
    model = HostedRankingRequest if hosted else RankingRequest
    try:
        asked = model.model_validate(content)
    except ValidationError as error:
        found = [_fault(entry, content) for entry in error.errors(include_url=False, include_input=False)]
        # A passage with an image is told of once: that its text is missing, too, would mislead.
        with_image = tuple(fault.path.removesuffix("image") for fault in faults)
        faults += [fault for fault in found if not fault.path.startswith(with_image)]
    if faults:
        raise _invalid(faults)
    return asked


def _passages(content: Any) -> list[Any]:
    passages = content.get("passages") if isinstance(content, dict) else None
    return passages if isinstance(passages, list) else []


def _refuse_crowds(content: Any) -> None:
    query = content.get("query") if isinstance(content, dict) else None
    for entry in (content, query, *_passages(content)):
        if isinstance(entry, dict) and len(entry) > _MAX_FIELDS:
            raise InvalidRequestError(f"an object with {len(entry)} fields, expected at most {len(RankingRequest.model_fields)}")


def _drop_nulls(content: Any) -> None:
    """Take out fields whose null means what their absence does; clients send them for all of their values."""
    if not isinstance(content, dict):
        return
    if content.get("truncate", "") is None:
        del content["truncate"]
    for entry in (content.get("query"), *_passages(content)):
        if isinstance(entry, dict) and entry.get("image", "") is None:
            del entry["image"]


def _images(content: Any) -> list[_Fault]:
    """Text models only, so far: an image must not be dropped silently, not even where other unknown fields are."""
    entries = {f"passages[{index}]": entry for index, entry in enumerate(_passages(content))}
    if isinstance(content, dict):
        entries["query"] = content.get("query")
    advice = "this model ranks text; images need a vision model such as nvidia/llama-nemotron-rerank-vl-1b-v2, which is not served here"
    return [_Fault(f"{path}.image", advice) for path, entry in entries.items() if isinstance(entry, dict) and "image" in entry]


def _invalid(faults: Sequence[_Fault]) -> InvalidRequestError:
    told = "; ".join(f"{fault.path}: {fault.message}" if fault.path else fault.message for fault in faults[:_FAULTS_IN_MESSAGE])
    more = len(faults) - _FAULTS_IN_MESSAGE
    message = f"{told}; and {more} more" if more > 0 else told
    return InvalidRequestError(message, {"errors": [{"path": fault.path, "message": fault.message} for fault in faults]})


def _fault(entry: Any, content: Any) -> _Fault:
    """pydantic's finding in words that say what to do. Only types, limits and field names are told, never a value."""
    location, kind, context = entry["loc"], entry["type"], entry.get("ctx", {})
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{quoted(part)}" for part in location).lstrip(".")
    if kind == "extra_forbidden":  # in the words of NIM 2.x, which clients look for
        owners: dict[int, type[BaseModel]] = {1: RankingRequest, 2: Query}
        fields = owners.get(len(location), Passage).model_fields
        return _Fault(path, f"unknown field, expected one of {', '.join(fields)}")
    if kind == "too_long":
        return _Fault(path, f"{len(content['passages'])} passages, the most in one request is {MAX_PASSAGES}: split them over several")
    words = {
        "too_short": "empty, send at least 1 passage",
        "string_too_short": "empty, send some text",
        "string_too_long": f"longer than {context.get('max_length')} characters",
        "missing": "required field is missing",
        "literal_error": f"expected {context.get('expected')}",
        "model_type": "expected a JSON object",
    }
    return _Fault(path, words.get(kind) or entry["msg"].replace("Input should be", "expected"))


def quoted(name: str) -> str:
    """As much of a caller's name for something as a message may quote."""
    return name if len(name) <= _QUOTED else f"{name[:_QUOTED]}..."


def ranking_body(rankings: Sequence[Ranking], tokens: int) -> dict[str, Any]:
    """The response as plain values, for the JSON encoder; RankingResponse describes it."""
    entries = [{"index": ranking.index, "logit": ranking.logit} for ranking in rankings]
    return {"rankings": entries, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def error_body(message: str, detail: dict[str, Any], kind: str) -> dict[str, Any]:
    """The one envelope; `detail` is an object, never null, since clients look into it."""
    return {"object": "error", "message": message, "detail": detail, "type": kind}
