"""The NIM's request shapes: `POST /v1/ranking`, strict, and NVIDIA's hosted API, lenient. Knows no tensors and no HTTP library."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from facade.api.body_images import read_with_images
from facade.api.faults import found, invalid
from facade.api.json_text import read_json
from facade.api.nim_body import drop_nulls, image_path, refuse_crowds, take_images
from facade.api.passage_images import ImageReader
from facade.api.shape import Shape
from facade.reranking.images import Image
from facade.reranking.ranking import MAX_PASSAGES, Ranking

_IMAGE = (
    "For models that take images: a PNG, JPEG, WebP, GIF (first frame), BMP or TIFF (first page) file as a data URL or base64. Nothing is "
    "fetched. By default a file has at most 16 MiB (RERANKER_IMAGE_BYTES) and 36 million pixels (RERANKER_IMAGE_PIXELS)."
)
MAX_MODEL_NAME = 128  # characters, as in NVIDIA's published schema
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


def _or_image(schema: dict[str, Any]) -> None:
    """Describe the image of a passage, which is read and taken out before a body is validated."""
    del schema["required"]
    schema["properties"]["image"] = {"type": "string", "title": "Image", "description": _IMAGE}
    schema["anyOf"] = [{"required": ["text"]}, {"required": ["image"]}]


class Passage(_Strict):
    """One passage of a ranking: a text, an image, or both."""

    model_config = ConfigDict(json_schema_extra=_or_image)

    text: Annotated[str, Field(description="The passage.")]


class _PassageWithImage(Passage):
    """The fields of a passage where the model takes images."""

    image: str | None = None


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
    _images: Sequence[Image | None] = PrivateAttr(default=())

    @property
    def query_text(self) -> str:
        """The query."""
        return self.query.text

    @property
    def passage_texts(self) -> list[str]:
        """The passages, in the request's order."""
        return [passage.text for passage in self.passages]

    @property
    def passage_images(self) -> Sequence[Image | None]:
        """The image of each passage; empty where none has one."""
        return self._images

    @property
    def truncates(self) -> bool:
        """Whether the end of a passage is cut where its pair is over the limit."""
        return self.truncate == "END"

    @property
    def most_rankings(self) -> int | None:
        """All."""
        return None

    def answer(self, rankings: Sequence[Ranking], tokens: int) -> dict[str, Any]:
        """The body that RankingResponse describes."""
        entries = [{"index": ranking.index, "logit": ranking.logit} for ranking in rankings]
        return {"rankings": entries, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


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
_OWNERS_WITH_IMAGES = (RankingRequest, Query, _PassageWithImage)


def _parsed(asked: type[RankingRequest], body: bytes | bytearray, images: ImageReader | None = None) -> RankingRequest:
    """The request in `body`. Raises InvalidRequestError that lists every fault with its path, and quotes no text of the body."""
    content, cuts = read_with_images(body) if images else (read_json(body), {})
    if asked.model_config.get("extra") == "forbid":  # where unknown fields are ignored they make no faults
        refuse_crowds(content, len(RankingRequest.model_fields))
    drop_nulls(content)
    shown, faults = take_images(content, cuts, images)
    try:
        request = asked.model_validate(content)
    except ValidationError as error:
        # Where images are refused, a passage with one has one fault: that its text is missing, too, would mislead.
        hidden = () if images else tuple(fault.path.removesuffix("image") for fault in faults)
        owners = _OWNERS_WITH_IMAGES if images else _OWNERS
        faults += [fault for fault in found(error, owners) if not fault.path.startswith(hidden)]
    if faults:
        raise invalid(faults)
    if shown:
        request._images = [shown.get(image_path(index)) for index in range(len(request.passages))]
    return request


STRICT = Shape("Rank passages", partial(_parsed, RankingRequest), RankingRequest, RankingResponse, _EXAMPLE)
HOSTED = Shape(
    "Rank passages, as NVIDIA's hosted API", partial(_parsed, HostedRankingRequest), HostedRankingRequest, RankingResponse, _EXAMPLE
)
