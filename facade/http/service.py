"""The parts that the endpoints work with, one of each an application: settings, model, threads, scorer, admission, readiness, metrics.
Knows no request.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from aiohttp import web

from facade.api.faults import quoted
from facade.api.passage_images import ImageReader
from facade.api.shape import Asked, Shape
from facade.config.settings import Settings
from facade.errors import UnknownModelError
from facade.http.request_body import BodyLimits
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.images import ImageLimits
from facade.reranking.images.request_images import RequestImages
from facade.reranking.pairs import PairTokenizer, TokenPairs
from facade.reranking.ranking import MAX_PASSAGES
from facade.reranking.token_limits import limited
from facade.scoring.admission import Admission, Work
from facade.scoring.scorer import Scorer
from facade.telemetry.metrics import Metrics
from facade.triton.fleet import Fleet
from facade.triton.readiness import Readiness

# A body that is read in a thread without a look at it, where it may have images.
_LARGE_BYTES = 1 << 20


@dataclass(frozen=True)
class Service:
    """One served model; `fleet` where it is several Tritons; `created` in seconds since 1970.

    `threads` unpack and tokenise; `readers` read bodies with images, so that no text waits for them.
    """

    settings: Settings
    current: ActiveBundle
    threads: Executor
    readers: Executor
    scorer: Scorer
    fleet: Fleet | None
    admission: Admission
    readiness: Readiness
    metrics: Metrics
    created: int

    @property
    def names(self) -> tuple[str, ...]:
        """The served model's names, its own first."""
        return tuple(dict.fromkeys((self.current.bundle.model_id, *self.settings.served_names)))

    def most_passages(self, shape: Shape) -> int:
        """The most passages of a request in this shape."""
        return self.settings.max_documents if shape.lenient else MAX_PASSAGES

    def most_tokens(self, passages: int) -> int:
        """The most tokens that truncation leaves of a request with this number of passages."""
        return passages * self.current.tokenizer.max_seq_len

    def require_model(self, name: str | None) -> None:
        """Raise UnknownModelError for a name that isn't served; None means the default."""
        if name is not None and name not in self.names:
            served = ", ".join(self.names)
            remedy = "send one of these or no model, or list the name in NIM_SERVED_MODEL_NAME"
            raise UnknownModelError(f"model {quoted(name)!r} is not served here; served: {served}; {remedy}", {"served": list(self.names)})

    def body_limits(self, work: Work) -> BodyLimits:
        """The limits of a request's body, whose bytes `work` counts."""
        size = self.settings.body_limit(images=self.current.bundle.image is not None)
        return BodyLimits(size, self.settings.body_timeout_s, work.hold)

    async def read(self, body: bytes | bytearray, parse: Callable[[ImageReader | None], Asked]) -> Asked:
        """The request that `parse` makes of `body`, in a thread where it may have images; `parse` gets what reads them."""
        block = self.current.bundle.image
        if block is None:
            return parse(None)
        limits = ImageLimits(self.settings.image_bytes, self.settings.image_pixels)
        reader = ImageReader(RequestImages(block, limits, self.settings.images_per_request, self.settings.image_tiles_per_request))
        if len(body) < _LARGE_BYTES and b'"image' not in body and b"\\u" not in body:  # an escape could hide the name
            return parse(reader)
        return await asyncio.get_running_loop().run_in_executor(self.readers, parse, reader)

    async def tokenise(self, asked: Asked, tokenizer: PairTokenizer) -> TokenPairs:
        """Token pairs of the request, made in a thread of the tokenizer's own."""

        def encode() -> TokenPairs:
            pairs = tokenizer.encode(asked.query_text, asked.passage_texts, truncate=asked.truncates, images=asked.passage_images)
            return limited(pairs, asked.limits)

        return await asyncio.get_running_loop().run_in_executor(self.threads, encode)


SERVICE = web.AppKey("service", Service)
