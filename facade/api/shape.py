"""What a request shape is: how a body becomes a request, how rankings become an answer, and the models that describe both.

Knows no shape by name, no HTTP library and no tensors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel

from facade.api.passage_images import ImageReader
from facade.reranking.images import Image
from facade.reranking.ranking import Ranking


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
    def most_rankings(self) -> int | None:
        """The number of rankings in the answer, the best ones; None: all."""
        ...

    def answer(self, rankings: Sequence[Ranking], tokens: int) -> dict[str, Any]:
        """The answer's body as plain values, for the JSON encoder. `tokens`: of all pairs, after truncation."""
        ...


class Parse(Protocol):
    """Makes a request of a body. Raises InvalidRequestError that lists every fault of the body."""

    def __call__(self, body: bytes | bytearray, images: ImageReader | None = None) -> Asked:
        """`images` reads the passages' images; None: the model takes none, and each is a fault."""
        ...


@dataclass(frozen=True)
class Shape:
    """One request shape.

    `request` and `response` are its models in the OpenAPI document, `example` a body that passes.
    """

    summary: str
    parse: Parse
    request: type[BaseModel]
    response: type[BaseModel]
    example: Mapping[str, Any]
