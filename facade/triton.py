"""Transport to Triton: calls with deadlines, and what its statuses mean.

Knows tensors as named arrays, nothing of texts.
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from facade import correlation, tensors
from facade.admission import Work
from facade.bundle import Bundle
from facade.channel import Access, connect
from facade.current import Current
from facade.dispatch import gather_logits
from facade.errors import DeadlineExceededError, NotReadyError, OtherBundleError, OverloadedError, RerankerError, ScoringError
from facade.pairs import TokenPairs
from facade.tensors import Chunk, Logits, Priority, Row

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scores:
    """Logits FP32 [pairs] in the passages' order, and the seconds in which an engine computed on any of them."""

    logits: Logits
    infer_s: float


class Scorer(Protocol):
    """What the HTTP side needs of a model; tests put their own in its place."""

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        """Logits of all pairs, or a RerankerError; `work` says how urgent they are, and is told of what has been computed."""
        ...

    async def probe(self, timeout_s: float) -> str:
        """Run one real, tiny inference and return the engine's name, or raise a RerankerError."""
        ...


class TritonScorer:
    """A client of the Triton model `reranker`; an async context manager that owns its channel."""

    def __init__(self, target: str, current: Current, chunk_tokens: int, chunks_in_flight: int, access: Access | None = None) -> None:
        self._target = target
        self._access = access or Access()
        self._current = current
        self._chunk_tokens = chunk_tokens
        self._chunks_in_flight = chunks_in_flight

    async def __aenter__(self) -> Self:
        self._client = connect(self._target, self._access)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.close()

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        """Logits of all pairs within `timeout_s`; a caller that is cancelled takes its calls with it."""
        deadline = time.monotonic() + timeout_s
        priority = Priority.BULK if work and work.bulk else Priority.INTERACTIVE
        spans: list[tuple[float, float]] = []

        async def call(chunk: Chunk) -> Logits:
            outputs = (tensors.LOGIT, tensors.INFER_US)
            result = await self._infer(chunk, pairs.bundle, deadline - time.monotonic(), outputs, priority)
            end = time.monotonic()
            if work:
                work.computed(sum(len(pairs.rows[index]) for index in chunk.indexes))
            spans.append((end - int(result[tensors.INFER_US][0, 0]) / 1e6, end))
            logits: Logits = result[tensors.LOGIT][:, 0]
            return logits

        chunks = tensors.chunks(pairs, self._chunk_tokens)
        logits = await gather_logits(chunks, pairs.firsts, self._chunks_in_flight, call)
        return Scores(logits, _covered(spans))

    async def probe(self, timeout_s: float) -> str:
        """Score one pair of a single token: proves Triton, the stub, the engine and the bundle's digest in one go.

        Where Triton has gone over to a newer bundle, so does this side.
        """
        bundle = self._current.bundle
        try:
            return await self._probe(bundle, timeout_s)
        except OtherBundleError:
            if not await self._current.renew(bundle):
                raise
            return await self._probe(self._current.bundle, timeout_s)

    async def _probe(self, bundle: Bundle, timeout_s: float) -> str:
        row = Row(np.array([bundle.pad_id], np.int64), np.zeros(1, np.int64))
        chunk = Chunk([0], tensors.pack([row], bundle))
        result = await self._infer(chunk, bundle, timeout_s, (tensors.LOGIT, tensors.ENGINE), Priority.PROBE)
        engine: bytes = result[tensors.ENGINE][0, 0]
        return engine.decode()

    async def _infer(
        self, chunk: Chunk, bundle: Bundle, timeout_s: float, outputs: tuple[str, ...], priority: Priority
    ) -> dict[str, NDArray[Any]]:
        """The named outputs, [rows, 1] each."""
        if timeout_s <= 0:
            raise DeadlineExceededError
        inputs = []
        for name, array in chunk.inputs.items():
            tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            inputs.append(tensor)
        try:
            result = await self._client.infer(
                tensors.MODEL,
                inputs,
                outputs=[InferRequestedOutput(name) for name in outputs],
                request_id=correlation.request_id(),
                client_timeout=timeout_s,
                priority=priority,
                headers=dict(correlation.headers()),
                parameters={tensors.BUNDLE_DIGEST: bundle.digest, tensors.BULK: priority is Priority.BULK},
            )
        except InferenceServerException as error:
            raise _meaning(error) from None
        return {name: result.as_numpy(name) for name in outputs}


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds that the spans cover together: chunks that shared a batch report the same time twice."""
    seconds, covered_until = 0.0, 0.0
    for start, end in sorted(spans):
        seconds += max(end - max(start, covered_until), 0.0)
        covered_until = max(covered_until, end)
    return seconds


def _meaning(error: InferenceServerException) -> RerankerError:
    """The error of our own family for Triton's status. Its text goes to the log; it holds shapes and names, no user text."""
    status = str(error.status()).removeprefix("StatusCode.")
    text = str(error.message())
    if status == grpc.StatusCode.DEADLINE_EXCEEDED.name:
        return DeadlineExceededError()
    LOG.debug("Triton answered %s: %s", status, text)
    if "protocol is restricted" in text:
        return NotReadyError("Triton wants another key than it was sent; set RERANKER_TRITON_KEY to the same on both sides")
    if "maximum queue size" in text:
        return OverloadedError("Triton's queue is full; retry after a second")
    if status == grpc.StatusCode.UNIMPLEMENTED.name:
        return OtherBundleError()
    if status in {"UNAVAILABLE", "NOT_FOUND"} or "is not healthy" in text:
        return NotReadyError("the model can't be reached just now; retry in a few seconds")
    LOG.error("the model failed: %s: %s", status, text)
    return ScoringError("the model failed on this request; the server's log says why")


async def wait_until_scoring(scorer: Scorer, poll_s: float = 0.1) -> str:
    """Probe until an inference succeeds; returns the engine's name. Runs until it is cancelled where none ever does."""
    while True:
        try:
            return await scorer.probe(timeout_s=10.0)
        except RerankerError:
            await asyncio.sleep(poll_s)
