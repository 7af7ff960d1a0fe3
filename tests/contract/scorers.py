"""Scorers for what a real Triton does not do at will: to be slow, to fail, to be away, to give a logit that is no number."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from facade.errors import DeadlineExceededError, OtherBundleError
from facade.reranking.pairs import TokenPairs
from facade.scoring.admission import Work
from facade.scoring.scorer import Scores
from tests.contract.calls import GOOD, Answer, Client, post

_CHUNK = 4096  # tokens


class Fixed:
    """Gives the same logits to every request; by default 0, -1, -2, ..."""

    def __init__(self, logits: Sequence[float] | None = None) -> None:
        self._logits = logits

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:  # noqa: ARG002
        logits = self._logits or [-float(index) for index in range(len(pairs.rows))]
        return Scores(np.array(logits, np.float32), 0.0)

    async def probe(self, timeout_s: float) -> str:  # noqa: ARG002
        return "fixed"


class Swapped(Fixed):
    """Computes with one engine after the other; each score takes a while, and the first one after a swap is refused."""

    def __init__(self, *engines: str, seconds: float = 0.0) -> None:
        super().__init__()
        self._engines = list(engines)
        self._seconds = seconds
        self._refuses = False

    def swap(self) -> None:
        """Go over to the next engine."""
        self._engines.pop(0)
        self._refuses = True

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        await asyncio.sleep(self._seconds)
        if self._refuses:
            self._refuses = False
            raise OtherBundleError
        return await super().score(pairs, timeout_s, work)

    async def probe(self, timeout_s: float) -> str:  # noqa: ARG002
        return self._engines[0]


class Held(Fixed):
    """Says when a request has reached it, and answers when `release` is set. Knows how many were cancelled meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Semaphore(0)
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        self.started.release()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return await super().score(pairs, timeout_s, work)


class Waking(Fixed):
    """Its probe takes until `awake` is set, as a Triton's that still loads."""

    def __init__(self) -> None:
        super().__init__()
        self.awake = asyncio.Event()

    async def probe(self, timeout_s: float) -> str:
        try:
            await asyncio.wait_for(self.awake.wait(), timeout_s)
        except TimeoutError:
            raise DeadlineExceededError("still loading") from None
        return "waking"


class Failing(Fixed):
    """Raises what `error` makes while `broken`, out of its probe, too, where `probe_fails`."""

    def __init__(self, error: Callable[[], Exception], *, probe_fails: bool = False) -> None:
        super().__init__()
        self.broken = True
        self._error = error
        self._probe_fails = probe_fails

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        if self.broken:
            raise self._error()
        return await super().score(pairs, timeout_s, work)

    async def probe(self, timeout_s: float) -> str:  # noqa: ARG002
        if self.broken and self._probe_fails:
            raise self._error()
        return "failing"


async def held(client: Client, scorer: Held, body: object = GOOD) -> asyncio.Task[Answer]:
    """A request that has reached the scorer and stays there."""
    task = asyncio.create_task(post(client, body))
    await asyncio.wait_for(scorer.started.acquire(), 60)
    return task


class Computing(Fixed):
    """Computes one chunk after the other, each request's in turn, as a model of `tokens_per_s` does, and says what it has computed."""

    def __init__(self, tokens_per_s: float) -> None:
        super().__init__()
        self._tokens_per_s = tokens_per_s
        self._engine = asyncio.Lock()

    async def score(self, pairs: TokenPairs, timeout_s: float, work: Work | None = None) -> Scores:
        left = pairs.scored_tokens
        while left:
            tokens = min(left, _CHUNK)
            async with self._engine:
                await asyncio.sleep(tokens / self._tokens_per_s)
            left -= tokens
            if work:
                work.computed(tokens, tokens / self._tokens_per_s)
        return await super().score(pairs, timeout_s, work)
