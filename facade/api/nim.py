"""The NIM's request shapes: `POST /v1/ranking`, strict, and NVIDIA's hosted API, lenient. Knows no tensors and no HTTP library."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facade.api.faults import Fault, found, invalid
from facade.api.shape import Ranked, Shape
from facade.errors import InvalidRequestError
from facade.reranking.ranking import MAX_PASSAGES
from facade.reranking.token_limits import NO_LIMITS, TokenLimits

MAX_MODEL_NAME = 128  # characters, as in NVIDIA's published schema
# An object with more fields than this is no mistake: it is refused before each of millions of them becomes a fault of its own.
_MAX_FIELDS = 32
_EXAMPLE = {
    "query": {"text": "which way should i go?"},
    "passages": [
        {"text": "two roads diverged in a yellow wood, and sorry i could not travel both"},
        {"text": "i shall be telling this with a sigh somewhere ages and ages hence"},
    ],
    "truncate": "END",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(_Strict):
    """The query of a ranking."""

    text: Annotated[str, Field(min_length=1, description="The query; not empty.")]


class Passage(_Strict):
    """One passage of a ranking."""

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
    def query_text(self) -> str:
        """The query."""
        return self.query.text

    @property
    def passage_texts(self) -> list[str]:
        """The passages, in the request's order."""
        return [passage.text for passage in self.passages]

    @property
    def passage_images(self) -> Sequence[str | None]:
        """None has any."""
        return ()

    @property
    def truncates(self) -> bool:
        """Whether the end of a passage is cut where its pair is over the limit."""
        return self.truncate == "END"

    @property
    def most_rankings(self) -> int | None:
        """All."""
        return None

    @property
    def limits(self) -> TokenLimits:
        """The model's alone."""
        return NO_LIMITS

    def answer(self, ranked: Ranked) -> dict[str, Any]:
        """The body that RankingResponse describes."""
        entries = [{"index": ranking.index, "logit": ranking.logit} for ranking in ranked.rankings]
        return {"rankings": entries, "usage": {"prompt_tokens": ranked.tokens, "total_tokens": ranked.tokens}}


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


# The models of a body's objects by their depth.
_OWNERS = (RankingRequest, Query, Passage)


def _parsed(asked: type[RankingRequest], content: Any, _: int) -> RankingRequest:
    """The request in a body's JSON. Raises InvalidRequestError that lists every fault with its path, and quotes no text of the body."""
    if asked.model_config.get("extra") == "forbid":  # where unknown fields are ignored they make no faults
        _refuse_crowds(content)
    _drop_nulls(content)
    faults = _images(content)
    try:
        request = asked.model_validate(content)
    except ValidationError as error:
        # A passage with an image has one fault: that its text is missing, too, would mislead.
        with_image = tuple(fault.path.removesuffix("image") for fault in faults)
        faults += [fault for fault in found(error, _OWNERS) if not fault.path.startswith(with_image)]
    if faults:
        raise invalid(faults)
    return request


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


def _images(content: Any) -> list[Fault]:
    """A fault for each image: a text model must not drop one silently, not even where other unknown fields are ignored.

    Passages beyond the limit are one fault of their own, so that a body of millions of them does not become as many faults.
    """
    entries = {f"passages[{index}]": entry for index, entry in enumerate(_passages(content)[:MAX_PASSAGES])}
    if isinstance(content, dict):
        entries["query"] = content.get("query")
    advice = "this model ranks text; images need a vision model such as nvidia/llama-nemotron-rerank-vl-1b-v2, which is not served here"
    return [Fault(f"{path}.image", advice) for path, entry in entries.items() if isinstance(entry, dict) and "image" in entry]


STRICT = Shape("nim", "Rank passages", partial(_parsed, RankingRequest), RankingRequest, RankingResponse, _EXAMPLE)
HOSTED = Shape(
    "hosted",
    "Rank passages, as NVIDIA's hosted API",
    partial(_parsed, HostedRankingRequest),
    HostedRankingRequest,
    RankingResponse,
    _EXAMPLE,
    keys=("passages",),
)
