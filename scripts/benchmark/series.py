"""What `make bench` measures of one running server, point by point. Knows what to ask and how often, not how it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from scripts.benchmark.load import Load, closed_loop, for_seconds, open_loop
from scripts.benchmark.own_server import Tokens, padding_share, tokens
from scripts.benchmark.wire import Client
from scripts.benchmark.workload import USUAL, Ask, Shape, Texts

CONCURRENCY, ARRIVALS, PASSAGES, WORDS, ONE, ALONE, BESIDE, MIXED = (
    "concurrency",  # usual requests, so many clients
    "arrivals",  # usual requests at random times, at a share of what 4 clients got through
    "passages",  # one client, requests of so many passages
    "words",  # one client, usual requests of passages of so many words
    "one",  # one client, one passage
    "alone",  # one client, 4 passages
    "beside",  # the same, while requests of 512 passages run back to back
    "mixed",  # 4 clients, requests of 1 to 128 passages in turn
)
SERIES = (CONCURRENCY, ARRIVALS, PASSAGES, WORDS, ONE, ALONE, BESIDE, MIXED)
CLIENTS = 4  # of the usual load
CLIENT_COUNTS = (1, 2, 4, 8, 16)
PASSAGE_COUNTS = (1, 4, 32, 128, 512)
WORD_COUNTS = (10, 40, 80, 160, 320)  # the longest fill the default model's limit
SHARES = (0.3, 0.6, 0.9)
SMALL, LARGE = Shape(4), Shape(512)
MIXTURE = (Shape(1), Shape(4), Shape(32), Shape(128))
# A p99 says something from a few hundred answers on, and an answer may take a quarter of a second there.
PERCENTILE_FACTOR = 3
_HEAD_START_S = 0.5  # of the large requests, so that the small ones meet one from the first on


@dataclass(frozen=True)
class Point:
    """One measurement: its series, its place on that series' axis, the round, the load; the padding's share where it was counted."""

    series: str
    place: float
    round: int
    load: Load
    padding: float | None = None


def point_count(series: frozenset[str]) -> int:
    """Points of a round."""
    sizes = {CONCURRENCY: len(CLIENT_COUNTS), ARRIVALS: len(SHARES), PASSAGES: len(PASSAGE_COUNTS), WORDS: len(WORD_COUNTS)}
    return sum(sizes.get(name, 1) for name in series)


@dataclass(frozen=True)
class Bench:
    """A running server, the texts, the seconds of each point, and where Triton's metrics are, if that is known."""

    client: Client
    texts: Texts
    seconds: float
    metrics_url: str | None

    async def warm_up(self) -> None:
        """Lets the engine see the shapes before anything is measured."""
        asks = self.texts.asks(USUAL, *MIXTURE, seed=-1)
        await closed_loop(self.client, asks, CLIENTS, for_seconds(self.seconds))

    async def measure(self, number: int, series: frozenset[str]) -> AsyncIterator[Point]:
        """The points of one round; every round asks other texts."""
        capacity = 0.0
        for clients in CLIENT_COUNTS if CONCURRENCY in series else ():
            point = await self._closed(CONCURRENCY, clients, number, USUAL, clients)
            capacity = point.load.pairs_per_second if clients == CLIENTS else capacity
            yield point
        for share in SHARES if ARRIVALS in series and capacity else ():
            rate = share * capacity / USUAL.passages
            yield Point(ARRIVALS, share, number, await open_loop(self.client, self._asks(number, USUAL), rate, self.seconds, number))
        for count in PASSAGE_COUNTS if PASSAGES in series else ():
            yield await self._closed(PASSAGES, count, number, Shape(count))
        for count in WORD_COUNTS if WORDS in series else ():
            yield await self._closed(WORDS, count, number, Shape(USUAL.passages, count, count))
        if ONE in series:
            yield await self._closed(ONE, 1, number, Shape(1))
        if ALONE in series:
            yield await self._closed(ALONE, SMALL.passages, number, SMALL, factor=PERCENTILE_FACTOR)
        if BESIDE in series:
            yield await self._beside(number)
        if MIXED in series:
            yield await self._mixed(number)

    def _asks(self, number: int, *shapes: Shape) -> Iterator[Ask]:
        return self.texts.asks(*shapes, seed=number)

    async def _closed(self, series: str, place: float, number: int, shape: Shape, clients: int = 1, factor: int = 1) -> Point:  # noqa: PLR0913, PLR0917
        load = await closed_loop(self.client, self._asks(number, shape), clients, for_seconds(self.seconds * factor))
        return Point(series, place, number, load)

    async def _beside(self, number: int) -> Point:
        done = asyncio.Event()
        large = asyncio.create_task(closed_loop(self.client, self._asks(~number, LARGE), 1, lambda: not done.is_set()))
        await asyncio.sleep(_HEAD_START_S)
        small = await self._closed(BESIDE, SMALL.passages, number, SMALL, factor=PERCENTILE_FACTOR)
        done.set()
        failures = (await large).failures  # without the large ones the small ones were alone: that must show
        return Point(small.series, small.place, number, Load(small.load.seconds, small.load.answers, {**failures, **small.load.failures}))

    async def _mixed(self, number: int) -> Point:
        before = await self._tokens()
        load = await closed_loop(self.client, self._asks(number, *MIXTURE), CLIENTS, for_seconds(self.seconds))
        return Point(MIXED, CLIENTS, number, load, padding_share(before, await self._tokens()))

    async def _tokens(self) -> Tokens | None:
        return await tokens(self.metrics_url) if self.metrics_url else None
