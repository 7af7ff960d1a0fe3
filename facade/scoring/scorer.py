"""Token pairs -> logits: one request's pairs go out as chunks, a few at a time, and come back together.

Knows neither texts nor transport: `model` is one Triton or a fleet of them.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from facade.errors import OtherBundleError, RerankerError
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.bundle import Bundle
from facade.reranking.chunks import Chunk, chunks, gather_logits
from facade.reranking.pairs import TokenPairs
from facade.reranking.tensors import Answer, Logits
from facade.reranking.token_ids import count
from facade.scoring.admission import Work


@dataclass(frozen=True)
class Scores:
    """Logits FP32 [pairs] in the passages' order; seconds in which an engine computed on any of them, and of packing them."""

    logits: Logits
    infer_s: float
    pack_s: float = 0.0


class Scorer(Protocol):
    """A model as the HTTP side sees it; tests use their own."""

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        """Logits of all pairs, or a RerankerError. `work` says whether they are bulk, and counts the tokens that have been computed."""
        ...

    async def probe(self, timeout_s: float) -> str:
        """Run one real, tiny inference and return the engine's name, or raise a RerankerError."""
        ...


class Model(Protocol):
    """One Triton, or several as one."""

    @property
    def serving(self) -> int:
        """Servers that work at the same time."""
        ...

    async def infer(self, chunk: Chunk, bundle: Bundle, timeout_s: float, *, bulk: bool = False) -> Answer:
        """The chunk's logits within `timeout_s`, by the model of that bundle and of no other; or a RerankerError. `bulk` may wait."""
        ...

    async def probe(self, bundle: Bundle, timeout_s: float) -> str:
        """The engine's name, after an inference has succeeded; or a RerankerError."""
        ...


class TritonScorer:
    """A Scorer that sends chunks of at most `chunk_tokens` to `model`; of one request, `chunks_in_flight` are under way for each Triton."""

    def __init__(self, model: Model, current: ActiveBundle, chunk_tokens: int, chunks_in_flight: int) -> None:
        self._model = model
        self._current = current
        self._chunk_tokens = chunk_tokens
        self._chunks_in_flight = chunks_in_flight

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        """Logits of all pairs within `timeout_s`; where the caller is cancelled, its calls are."""
        deadline = time.monotonic() + timeout_s
        bulk = work is not None and work.bulk
        spans: list[tuple[float, float]] = []

        async def call(chunk: Chunk) -> Logits:
            answer = await self._model.infer(chunk, pairs.bundle, deadline - time.monotonic(), bulk=bulk)
            end = time.monotonic()
            spans.append((end - answer.infer_s, end))
            if work:
                work.computed(sum(count(pairs.rows[index]) for index in chunk.indexes), answer.infer_s)
            return answer.logits

        packed = _Timed(chunks(pairs, self._chunk_tokens))
        in_flight = self._chunks_in_flight * max(self._model.serving, 1)
        logits = await gather_logits(packed, pairs.firsts, in_flight, call)
        return Scores(logits, covered(spans), packed.seconds)

    async def probe(self, timeout_s: float) -> str:
        """The engine's name. Where the model serves another bundle, this side changes to that one."""
        bundle = self._current.bundle
        try:
            return await self._model.probe(bundle, timeout_s)
        except OtherBundleError as error:
            if not await self._current.renew(bundle, error.served):
                raise
            return await self._model.probe(self._current.bundle, timeout_s)


class _Timed:
    """Chunks, each packed when it is taken, and the seconds of packing so far."""

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        began = time.perf_counter()
        try:
            return next(self._chunks)
        finally:
            self.seconds += time.perf_counter() - began


def covered(spans: list[tuple[float, float]]) -> float:
    """Seconds that the spans cover together: chunks that shared a batch report the same time twice."""
    seconds, covered_until = 0.0, 0.0
    for start, end in sorted(spans):
        seconds += max(end - max(start, covered_until), 0.0)
        covered_until = max(covered_until, end)
    return seconds


async def wait_until_scoring(scorer: Scorer, failed: Callable[[RerankerError], None] = lambda _: None, poll_s: float = 0.1) -> str:
    """Probe until an inference succeeds, and return the engine's name. Ends only by success or cancellation.

    `failed` gets the error of each probe before.
    """
    while True:
        try:
            return await scorer.probe(timeout_s=10.0)
        except RerankerError as error:
            failed(error)
            await asyncio.sleep(poll_s)
