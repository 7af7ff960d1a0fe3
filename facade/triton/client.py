"""Transport to one Triton: calls with deadlines, and the meaning of its statuses.

Knows tensors as named arrays, neither texts nor other Tritons.
"""

import logging
import time
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from facade.errors import DeadlineExceededError, NotReadyError, OtherBundleError, OverloadedError, RerankerError, ScoringError
from facade.reranking import tensors
from facade.reranking.bundle import Bundle
from facade.reranking.chunks import Chunk
from facade.reranking.sent_images import SentImages, refused_image
from facade.reranking.tensors import Answer, Inputs, Row
from facade.telemetry import correlation
from facade.triton.channel import Access
from facade.triton.connection import Ask, Connection

LOG = logging.getLogger(__name__)

Outputs = dict[str, NDArray[Any]]


class Triton:
    """The Triton at `target` (host:port); an async context manager that owns the channel to it."""

    def __init__(self, target: str, access: Access | None = None) -> None:
        self._connection = Connection(target, access or Access())
        self._images = SentImages()

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._connection.__aexit__(kind, error, trace)

    @property
    def serving(self) -> int:
        """Tritons that compute at the same time."""
        return 1

    async def infer(self, chunk: Chunk, bundle: Bundle, timeout_s: float, *, bulk: bool = False) -> Answer:
        """The chunk's logits within `timeout_s`, by the model of that bundle and of no other; or a RerankerError."""
        deadline = time.monotonic() + timeout_s
        outputs = (tensors.LOGIT, tensors.INFER_US)

        async def ask(inputs: Inputs) -> Outputs:
            return await self._connection.call(_call(inputs, bundle, deadline - time.monotonic(), outputs, bulk=bulk))

        return Answer.of(await self._images.call(chunk, ask))

    async def probe(self, bundle: Bundle, timeout_s: float) -> str:
        """The engine's name, after a pair of one token was scored: that proves Triton, the stub, the engine and the digest at once."""
        row = Row(np.array([bundle.pad_id], np.int64), np.zeros(1, np.int64))
        inputs = tensors.pack([row], bundle)
        result = await self._connection.probe(_call(inputs, bundle, timeout_s, (tensors.LOGIT, tensors.ENGINE)))
        engine: bytes = result[tensors.ENGINE][0, 0]
        return engine.decode()


def _call(arrays: Inputs, bundle: Bundle, timeout_s: float, outputs: tuple[str, ...], *, bulk: bool = False) -> "Ask[Outputs]":
    """A call for the named outputs, [rows, 1] each. It ends within `timeout_s` from now, also where it is made several times."""
    deadline = time.monotonic() + timeout_s

    async def ask(client: InferenceServerClient) -> Outputs:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceededError
        inputs = []
        for name, array in arrays.items():
            tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        try:
            result = await client.infer(
                tensors.MODEL,
                inputs,
                outputs=[InferRequestedOutput(name) for name in outputs],
                request_id=correlation.request_id(),
                client_timeout=left_s,
                headers=dict(correlation.headers()),
                parameters={tensors.BUNDLE_DIGEST: bundle.digest, tensors.BULK: bulk},
            )
        except InferenceServerException as error:
            raise refused_image(str(error.message())) or _meaning(error) from None
        return {name: result.as_numpy(name) for name in outputs}

    return ask


def _meaning(error: InferenceServerException) -> RerankerError:
    """The project's error for Triton's status. Triton's text goes to the log; it holds shapes and names, no user text."""
    status = str(error.status()).removeprefix("StatusCode.")
    text = str(error.message())
    if status == grpc.StatusCode.DEADLINE_EXCEEDED.name:
        return DeadlineExceededError()
    LOG.debug("Triton answered %s: %s", status, text)
    if "protocol is restricted" in text:
        return NotReadyError("Triton expects another key; set RERANKER_TRITON_KEY to the same on both sides")
    if "maximum queue size" in text or tensors.IMAGES_WAIT in text:
        return OverloadedError("Triton's queue is full; retry after a second")
    if status == grpc.StatusCode.UNIMPLEMENTED.name:
        return OtherBundleError(served=tensors.served_digest(text))
    # Triton calls a model's process unhealthy that does not report for a second: dead, or without a processor. To call again is no use:
    # Triton has given the process up, and itself aborts at the next call (2.51; a process stopped for 1.05 to 1.8 s).
    if status in {"UNAVAILABLE", "NOT_FOUND"} or "is not healthy" in text:
        away = NotReadyError("Triton is not reachable; retry in a few seconds")
        away.add_note(text)
        return away
    LOG.error("the model failed: %s: %s", status, text)
    return ScoringError("the model failed on this request; the server's log says why")
