"""Generates load: a closed loop of clients that each wait for their answer, or an open loop at a given rate.

Does not know HTTP or processes; `send` does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from scripts.benchmark.workload import Request

# A server that refuses at once would get thousands of requests per second, and the benchmark would take its processor time.
_PAUSE_AFTER_FAILURE_S = 0.05


class RefusedError(Exception):
    """There are no scores for this request; the message gives the reason."""


@dataclass(frozen=True)
class Answer:
    """The scores in the passages' order, and the engine's own seconds if reported."""

    scores: list[float]
    engine_s: float | None = None


Send = Callable[[Request], Awaitable[Answer]]
SendTogether = Callable[[Sequence[Request]], Awaitable[Answer]]
Going = Callable[[], bool]


@dataclass(frozen=True)
class Timed:
    """One answered request: seconds until the answer, pairs, and the engine's own seconds if reported."""

    seconds: float
    pairs: int
    engine_s: float | None


@dataclass(frozen=True)
class Load:
    """A measurement: seconds from the first request to the last answer, all answers, and the count of failures by reason."""

    seconds: float
    answers: tuple[Timed, ...]
    failures: Mapping[str, int]

    @property
    def pairs(self) -> int:
        """Pairs scored."""
        return sum(answer.pairs for answer in self.answers)

    @property
    def pairs_per_second(self) -> float:
        """Throughput, including the wait for the last answers."""
        return self.pairs / self.seconds if self.seconds else 0.0

    @property
    def engine_pairs_per_second(self) -> float:
        """Pairs per second of the engine's own time; 0 if that is not reported."""
        seconds = sum(answer.engine_s or 0.0 for answer in self.answers)
        return self.pairs / seconds if seconds else 0.0


def for_seconds(seconds: float) -> Going:
    """True until `seconds` have passed since its first call."""
    end: list[float] = []

    def going() -> bool:
        now = time.perf_counter()
        if not end:
            end.append(now + seconds)
        return now < end[0]

    return going


async def closed_loop(send: Send, requests: Iterator[Request], clients: int, going: Going) -> Load:
    """Each client sends its next request after its last answer, while `going()`."""
    record = _Record()

    async def client() -> None:
        while going():
            request = next(requests)
            await record.answer(send(request), len(request.passages), time.perf_counter())

    await asyncio.gather(*(client() for _ in range(clients)))
    return record.load()


async def pooled_loop(together: SendTogether, requests: Iterator[Request], size: int, going: Going) -> Load:
    """One client that sends `size` requests at a time, to be scored together; they count as one answer."""
    record = _Record()
    while going():
        pool = [*islice(requests, size)]
        await record.answer(together(pool), sum(len(request.passages) for request in pool), time.perf_counter())
    return record.load()


async def open_loop(send: Send, requests: Iterator[Request], rate: float, seconds: float, seed: int = 0) -> Load:
    """Requests at random times, `rate` per second on average, whether or not earlier ones are answered.

    A request's time starts when it is due, so a slow server can't hide its queueing delay.
    """
    generator = random.Random(seed)  # noqa: S311 (arrival times, not secrecy)
    record = _Record()
    start = time.perf_counter()
    due = start
    async with asyncio.TaskGroup() as under_way:
        while (due := due + generator.expovariate(rate)) < start + seconds:
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            request = next(requests)
            under_way.create_task(record.answer(send(request), len(request.passages), due))
    return record.load()


class _Record:
    """Collects the answers and failures of all requests."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._answers: list[Timed] = []
        self._failures: Counter[str] = Counter()

    async def answer(self, pending: Awaitable[Answer], pairs: int, since: float) -> None:
        try:
            answer = await pending
        except (RefusedError, OSError, TimeoutError) as error:
            await self._failed(str(error) or type(error).__name__)
            return
        if len(answer.scores) != pairs:
            await self._failed(f"{len(answer.scores)} scores for {pairs} passages")
        else:
            self._answers.append(Timed(time.perf_counter() - since, pairs, answer.engine_s))

    async def _failed(self, reason: str) -> None:
        self._failures[reason] += 1
        await asyncio.sleep(_PAUSE_AFTER_FAILURE_S)

    def load(self) -> Load:
        return Load(time.perf_counter() - self._start, tuple(self._answers), dict(self._failures))
