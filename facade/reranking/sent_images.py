"""Images on their way to a model: a file travels once, and where the model should have its features, its digest alone.

Both callers of the model `reranker` use it. Knows chunks and the model's refusals, neither transport nor pixels.
"""

import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from facade.errors import ImageError, ScoringError
from facade.reranking.chunks import Chunk
from facade.reranking.tensors import BAD_IMAGE, DIGEST_MARK, IMAGE, UNKNOWN_IMAGE, Inputs

_REFUSAL = re.compile(rf"({BAD_IMAGE}|{UNKNOWN_IMAGE}) (\d+): (.*)")

Result = TypeVar("Result")


class RefusedImageError(ScoringError):
    """The model refused a call for the image of the row `row`; `unknown`: it lacks the file."""

    def __init__(self, row: int, reason: str, *, unknown: bool) -> None:
        super().__init__(f"the model refused an image: {reason}")
        self.row = row
        self.reason = reason
        self.unknown = unknown


def refused_image(text: str) -> RefusedImageError | None:
    """The error for the model's text, where it refuses a call for an image."""
    found = _REFUSAL.search(text)
    return RefusedImageError(int(found[2]), found[3], unknown=found[1] == UNKNOWN_IMAGE) if found else None


class SentImages:
    """The images that one model has had, by their digests: the `most` last used ones. For one event loop."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._had: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._had)

    async def call(self, chunk: Chunk, ask: Callable[[Inputs], Awaitable[Result]]) -> Result:
        """The result of `ask` with the chunk's inputs, asked once more with all files where the model lacks an image.

        `ask` raises what `refused_image` makes of a refusal. Raises ImageError, with the passage's index, for an image that the model can't
        use, and the other errors of `ask`.
        """
        if not chunk.digests:
            return await ask(chunk.inputs)
        try:
            try:
                result = await ask(self._inputs(chunk))
            except RefusedImageError as refused:
                if not refused.unknown:
                    raise
                for digest in chunk.digests:
                    self._had.pop(digest, None)
                result = await ask(self._inputs(chunk))
        except RefusedImageError as refused:
            if refused.unknown or refused.row >= len(chunk.indexes):
                raise
            raise ImageError(chunk.indexes[refused.row], refused.reason) from None
        self._used(chunk.digests)
        return result

    def _inputs(self, chunk: Chunk) -> Inputs:
        """The chunk's inputs, each file in them once and only where the model has not had it."""
        images = chunk.inputs[IMAGE].copy()
        for row, digest in enumerate(chunk.digests):
            if digest in self._had or digest in chunk.digests[:row]:
                images[row, 0] = DIGEST_MARK + digest
        return {**chunk.inputs, IMAGE: images}

    def _used(self, digests: tuple[bytes, ...]) -> None:
        for digest in digests:
            self._had.pop(digest, None)
            self._had[digest] = None
        while len(self._had) > self._most:
            del self._had[next(iter(self._had))]
