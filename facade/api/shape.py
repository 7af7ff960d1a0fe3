"""What a request shape is: how a body becomes a request, how rankings become an answer, how errors are sent, and the models that describe
all of them.

Knows no shape by name, no HTTP library and no tensors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from facade.api.faults import ErrorResponse, enveloped
from facade.api.passage_images import ImageReader
from facade.errors import RerankerError
from facade.reranking.images import Image
from facade.reranking.ranking import Ranking
from facade.reranking.token_limits import TokenLimits


@dataclass(frozen=True)
class Ranked:
    """What an answer is made of.

    `rankings`: as many as asked for, best first. `tokens`: of all pairs, after truncation. `truncated`: indexes of the pairs that were cut;
    with `query_truncated` none of these has a token of its passage. `model`: the name of the model that computed.
    """

    rankings: Sequence[Ranking]
    tokens: int
    model: str
    request_id: str
    truncated: Sequence[int] = ()
    query_truncated: bool = False


class Asked(Protocol):
    """A request that has been checked, in whatever shape it came."""

    @property
    def model(self) -> str | None:
        """The model that is asked for; None: the default."""
        ...

    @property
    def query_text(self) -> str:
        """The query."""
        ...

    @property
    def passage_texts(self) -> list[str]:
        """The passages, in the request's order."""
        ...

    @property
    def passage_images(self) -> Sequence[Image | None]:
        """The image of each passage, None for a passage of text alone; empty where no passage has one."""
        ...

    @property
    def truncates(self) -> bool:
        """Whether a passage is cut where its pair is over the limit; else the request is refused."""
        ...

    @property
    def limits(self) -> TokenLimits:
        """Limits of the request's own, to which passages are cut."""
        ...

    @property
    def most_rankings(self) -> int | None:
        """The number of rankings in the answer, the best ones; None: all."""
        ...

    def answer(self, ranked: Ranked) -> Any:
        """The answer's body as plain values, for the JSON encoder."""
        ...


@dataclass(frozen=True)
class Allowed:
    """What a request may have: at most `passages`, and images where `images` reads them; None: the model takes none."""

    passages: int
    images: ImageReader | None = None


@dataclass(frozen=True)
class Shape:
    """One request shape; `name` is what settings and metrics call it.

    `parse` makes a request of a body's JSON, and raises InvalidRequestError that lists every fault of the body. `request` and `response`
    are its models in the OpenAPI document, `example` a body that passes. `keys`: at a path of several shapes, a body with one of them has
    this shape, unless it has one of `but_not`. `lenient`: one of other servers' shapes, with up to RERANKER_MAX_DOCUMENTS passages and any
    model name. `refuse` gives the status and the body of the answer for an error, and `error` is that body's model.
    """

    name: str
    summary: str
    parse: Callable[[Any, Allowed], Asked]
    request: type[BaseModel]
    response: type[BaseModel]
    example: Mapping[str, Any]
    keys: Sequence[str] = ()
    but_not: Sequence[str] = ()
    lenient: bool = False
    refuse: Callable[[RerankerError], tuple[int, dict[str, Any]]] = enveloped
    error: type[BaseModel] = ErrorResponse

    def takes(self, content: Any) -> bool:
        """Whether a body's JSON has the keys of this shape."""
        return isinstance(content, dict) and any(key in content for key in self.keys) and not any(key in content for key in self.but_not)


def shape_of(content: Any, shapes: Sequence[Shape]) -> Shape:
    """The first of the shapes that takes a body's JSON; the last one where none does, which then names what is missing."""
    return next((shape for shape in shapes if shape.takes(content)), shapes[-1])
