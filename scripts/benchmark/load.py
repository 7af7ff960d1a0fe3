"""Load on whatever answers: so many clients that each wait for their answer, or requests at a rate that waits for nobody.

Knows neither HTTP nor processes; `send` does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from scripts.benchmark.workload import Ask

# A server that refuses at once would otherwise be asked thousands of times a second, and the benchmark take its processor.
_PAUSE_AFTER_FAILURE_S = 0.05


class RefusedError(Exception):
    """No scores for this request; the message says what came instead."""


@dataclass(frozen=True)
class Answer:
    """The scores in the passages' order, and the seconds that the engine itself took, where that is told."""

    scores: list[float]
    engine_s: float | None = None


Send = Callable[[Ask], Awaitable[Answer]]
SendTogether = Callable[[Sequence[Ask]], Awaitable[Answer]]
Going = Callable[[], bool]


@dataclass(frozen=True)
class Timed:
    """One answered request: seconds until the answer, pairs in it, and the engine's own seconds where they are told."""

    seconds: float
    pairs: int
    engine_s: float | None


@dataclass(frozen=True)
class Load:
    """What was measured: seconds from the first request to the last answer, every answer, and how often what went wrong."""

    seconds: float
    answers: tuple[Timed, ...]
    failures: Mapping[str, int]

    @property
    def pairs(self) -> int:
        """Pairs scored."""
        return sum(answer.pairs for answer in self.answers)

    @property
    def pairs_per_second(self) -> float:
        """Throughput; the last answers are waited for, and that time counts."""
        return self.pairs / self.seconds if self.seconds else 0.0

    @property
    def engine_pairs_per_second(self) -> float:
        """Pairs for each second that the engine worked; 0 where it isn't told."""
        seconds = sum(answer.engine_s or 0.0 for answer in self.answers)
        return self.pairs / seconds if seconds else 0.0

    def percentile(self, percent: float) -> float:
        """Seconds within which `percent` of the answers came; NaN where none came."""
        return float(np.percentile([answer.seconds for answer in self.answers], percent)) if self.answers else float("nan")


def for_seconds(seconds: float) -> Going:
    """True until so many seconds have passed since the first time it was asked."""
    end: list[float] = []

    def going() -> bool:
        now = time.perf_counter()
        if not end:
            end.append(now + seconds)
        return now < end[0]

    return going


async def closed_loop(send: Send, asks: Iterator[Ask], clients: int, going: Going) -> Load:
    """Each client sends its next request when its last one is answered, while `going()`."""
    record = _Record()

    async def client() -> None:
        while going():
            ask = next(asks)
            await record.answer(send(ask), len(ask.passages), time.perf_counter())

    await asyncio.gather(*(client() for _ in range(clients)))
    return record.load()


async def pooled_loop(together: SendTogether, asks: Iterator[Ask], size: int, going: Going) -> Load:
    """One client that asks `size` requests at a time, to be scored together; each pool counts as one answer."""
    record = _Record()
    while going():
        pool = [*islice(asks, size)]
        await record.answer(together(pool), sum(len(ask.passages) for ask in pool), time.perf_counter())
    return record.load()


async def open_loop(send: Send, asks: Iterator[Ask], rate: float, seconds: float, seed: int = 0) -> Load:
    """Requests at random times, `rate` of them a second on average, whether or not earlier ones are answered.

    A request's time counts from when it was due, so that a slow server can't hide its queue.
    """
    generator = random.Random(seed)  # noqa: S311 (arrival times, not secrecy)
    record = _Record()
    start = time.perf_counter()
    due = start
    async with asyncio.TaskGroup() as under_way:
        while (due := due + generator.expovariate(rate)) < start + seconds:
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            ask = next(asks)
            under_way.create_task(record.answer(send(ask), len(ask.passages), due))
    return record.load()


class _Record:
    """Collects answers and failures; nothing that was asked is lost."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._answers: list[Timed] = []
        self._failures: Counter[str] = Counter()

    async def answer(self, coming: Awaitable[Answer], pairs: int, since: float) -> None:
        try:
            answer = await coming
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
