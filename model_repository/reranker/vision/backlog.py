"""Images that wait for decoding and for passes, in the order in which their calls are due. Knows no threads, clocks or pixels.

A call is due at its arrival plus a patience for each of its tiles, as rows are in the pool: small calls overtake large ones until these are
due. An image that several calls wait for is one image, due with the first of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from facade.errors import InvalidRequestError
from facade.reranking.tensors import IMAGE, MOST_TILES
from reranker.engines.engine import Tiles
from reranker.vision.images import Image
from reranker.vision.waiting_call import WaitingCall


@dataclass(frozen=True)
class Bounds:
    """What is held at a time.

    `tiles`: of the calls whose images are being computed or whose rows wait for their logits: 512 MiB of features of 2,048 FP32 and 256
    tokens each. Also the most of one call. `decoded_tiles`: ahead of the vision passes, 48 MiB of tiles of 512 pixels; two passes on a GPU.
    `file_bytes`: of the files of all calls that wait, which is what 256 calls of two pages take; a further call is refused.
    """

    tiles: int = MOST_TILES
    decoded_tiles: int = 64
    file_bytes: int = 256 << 20


@dataclass(frozen=True)
class Part:
    """Tiles of an image that a pass computes."""

    image: Image
    tiles: Tiles


class Backlog:
    """The images of all calls that wait for any."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._images: dict[bytes, Image] = {}
        self._waiting: list[WaitingCall] = []  # whose images are not admitted
        self._reserved = 0  # tiles of the calls that are admitted and not answered

    def __contains__(self, image: Image) -> bool:
        return self._images.get(image.digest) is image

    def get(self, digest: bytes) -> Image | None:
        """The image of that digest, if it waits here."""
        return self._images.get(digest)

    def join(self, waiting: WaitingCall, files: Mapping[bytes, bytes]) -> None:
        """Let a call wait for the images that it lacks; those that do not wait here yet are among `files`.

        Raises InvalidRequestError for a call of more tiles than there may be.
        """
        if waiting.tiles > self._bounds.tiles:
            raise InvalidRequestError(
                f"{IMAGE}: {waiting.tiles} tiles, the most in one call is {self._bounds.tiles}; send fewer rows in a call"
            )
        for digest in (digest for digest in waiting.places if digest not in waiting.features):  # in the order of the rows
            if digest not in self._images:
                self._images[digest] = Image(digest, files[digest], waiting.places[digest].tiles)
            self._images[digest].waiting_calls.append(waiting)
        self._waiting.append(waiting)
        self._admit()

    def leave(self, waiting: WaitingCall) -> None:
        """Forget a call, and the images that no other call waits for."""
        for digest in waiting.places:
            image = self._images.get(digest)
            if image and waiting in image.waiting_calls:
                image.waiting_calls.remove(waiting)
                if not image.waiting_calls:
                    del self._images[digest]
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        self.release(waiting)

    def finish(self, image: Image) -> list[WaitingCall]:
        """Remove an image that has its features; the calls that waited for it."""
        del self._images[image.digest]
        return image.waiting_calls

    def release(self, waiting: WaitingCall) -> None:
        """Let others have the room of a call that is answered."""
        if waiting.admitted:
            waiting.admitted = False
            self._reserved -= waiting.tiles
        self._admit()

    def next_to_decode(self) -> Image | None:
        """The image that is due first among those that are not decoded; None where the passes have enough ahead of them.

        What is due before all that is decoded never waits for these.
        """
        ready = [image for image in self._images.values() if image.is_admitted and not image.is_begun]
        if not ready:
            return None
        image = min(ready, key=attrgetter("due"))
        ahead = [other for other in self._images.values() if other.is_begun]
        fits = sum(other.tiles for other in ahead) + image.tiles <= self._bounds.decoded_tiles
        return image if fits or all(image.due < other.due for other in ahead) else None

    def next_pass(self, budget: int, wanted: Callable[[Image], bool]) -> list[Part]:
        """Up to `budget` tiles of decoded images, those that are due first; `wanted` says of an image whether a client waits for it."""
        parts: list[Part] = []
        for image in sorted((image for image in self._images.values() if image.pixels is not None), key=attrgetter("due")):
            if budget and image in self and wanted(image) and image.pixels is not None:
                parts.append(Part(image, image.pixels[image.seen : image.seen + budget]))
                budget -= len(parts[-1].tiles)
        return parts

    def waiting_tiles(self) -> int:
        """Tiles whose features are not there."""
        return sum(image.tiles - image.seen for image in self._images.values())

    def _admit(self) -> None:
        self._waiting.sort(key=attrgetter("due"))
        while self._waiting and (not self._reserved or self._reserved + self._waiting[0].tiles <= self._bounds.tiles):
            waiting = self._waiting.pop(0)
            waiting.admitted = True
            self._reserved += waiting.tiles
