"""A call that waits for the features of its images. Knows values, neither threads nor pixels."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from facade.errors import InvalidRequestError, RerankerError
from facade.reranking.tensors import BAD_IMAGE, IMAGE_FEATURES, Row
from reranker.aside import logged
from reranker.calls import Call
from reranker.engines.engine import Features

Refuse = Callable[[RerankerError], None]


@dataclass(frozen=True)
class Place:
    """A row of a call and the tiles that its placeholders stand for."""

    row: int
    tiles: int


@dataclass(eq=False)
class WaitingCall:
    """A call that waits for images. `places`: the first row of each image, by digest; `digests`: each row's image, by the row.

    The rest is the stage's: the `features` that are there, when the call is `due`, when its first pass `started`, and when its client was
    last `asked` about, in seconds of perf_counter; whether its images are `admitted`, and whether it is `settled`: refused or passed on.
    """

    call: Call
    refuse: Refuse
    digests: Mapping[int, bytes]
    places: Mapping[bytes, Place]
    due: float
    size: int
    features: dict[bytes, Features] = field(default_factory=dict)
    started: float | None = None
    asked: float = field(default_factory=time.perf_counter)
    admitted: bool = False
    settled: bool = False

    @property
    def tiles(self) -> int:
        """Tiles of all of its images."""
        return sum(place.tiles for place in self.places.values())

    @property
    def is_complete(self) -> bool:
        """Whether the features of all of its images are there."""
        return len(self.features) == len(self.places)

    @property
    def ready(self) -> int:
        """How many of its rows with an image have the features."""
        return sum(digest in self.features for digest in self.digests.values())

    def is_gone(self, known_s: float) -> bool:
        """Ask Triton whether the client has disconnected, unless that was done less than `known_s` ago. Only before it is settled: with the
        answer Triton releases the request.
        """
        now = time.perf_counter()
        if now - self.asked < known_s:
            return False
        self.asked = now
        with logged("it is not known whether a client has disconnected"):
            return self.call.gone()
        return False

    def mismatch(self, digest: bytes, tiles: int) -> InvalidRequestError | None:
        """The refusal where its row has not the placeholders of the image's `tiles`; None where it has."""
        place = self.places[digest]
        if place.tiles == tiles:
            return None
        return bad_image(place.row, f"it has {tiles} tiles, and the row placeholders of {place.tiles}")

    def rows(self) -> list[Row]:
        """Its rows, with features in place of files."""
        extras = {row: {IMAGE_FEATURES: self.features[digest]} for row, digest in self.digests.items()}
        return [replace(own, extra=extras[row]) if row in extras else own for row, own in enumerate(self.call.rows)]


def bad_image(row: int, reason: str) -> InvalidRequestError:
    """The refusal of a call for the image of one of its rows."""
    return InvalidRequestError(f"{BAD_IMAGE} {row}: {reason}")
