"""The series that `make bench` measures on a running server, point by point. Does not know how they are reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from scripts.benchmark.load import Load, closed_loop, for_seconds, open_loop
from scripts.benchmark.own_server import Tokens, padding_share, tokens
from scripts.benchmark.wire import Client
from scripts.benchmark.workload import USUAL, Request, Shape, Texts

CONCURRENCY, ARRIVALS, PASSAGES, WORDS, ONE, ALONE, BESIDE, MIXED = (
    "concurrency",  # usual requests, by number of clients
    "arrivals",  # usual requests at random times, at a share of the throughput with 4 clients
    "passages",  # one client, by passages of a request
    "words",  # one client, usual requests by words of a passage
    "one",  # one client, one passage
    "alone",  # one client, 4 passages
    "beside",  # the same, while requests of 512 passages run back to back
    "mixed",  # 4 clients, requests of 1 to 128 passages in turn
)
SERIES = (CONCURRENCY, ARRIVALS, PASSAGES, WORDS, ONE, ALONE, BESIDE, MIXED)
CLIENTS = 4  # of the usual load
SMALL, LARGE = Shape(4), Shape(512)
MIXTURE = (Shape(1), Shape(4), Shape(32), Shape(128))
# A p99 needs a few hundred answers, of up to a quarter of a second each.
PERCENTILE_FACTOR = 3
_HEAD_START_S = 0.5  # of the large requests, so that every small one meets one


@dataclass(frozen=True)
class Axes:
    """The places at which each series is measured."""

    clients: tuple[int, ...] = (1, 2, 4, 8, 16)
    shares: tuple[float, ...] = (0.3, 0.6, 0.9)
    passages: tuple[int, ...] = (1, 4, 32, 128, 512)
    words: tuple[int, ...] = (10, 40, 80, 160, 320)  # the longest fill the default model's limit

    def point_count(self, series: frozenset[str]) -> int:
        """The points of a round."""
        sizes = {CONCURRENCY: len(self.clients), ARRIVALS: len(self.shares), PASSAGES: len(self.passages), WORDS: len(self.words)}
        return sum(sizes.get(name, 1) for name in series)


@dataclass(frozen=True)
class Point:
    """One measurement: its series, its place on the series' axis, the round, the load, and the share of padding if counted."""

    series: str
    place: float
    round: int
    load: Load
    padding: float | None = None


@dataclass(frozen=True)
class Bench:
    """A running server, the texts, the seconds of each point, the URL of Triton's metrics if known, and the places to measure."""

    client: Client
    texts: Texts
    seconds: float
    metrics_url: str | None
    axes: Axes = Axes()

    async def warm_up(self) -> None:
        """Send requests of all shapes, which do not count."""
        requests = self.texts.requests(USUAL, *MIXTURE, seed=-1)
        await closed_loop(self.client, requests, CLIENTS, for_seconds(self.seconds))

    async def measure(self, number: int, series: frozenset[str]) -> AsyncIterator[Point]:
        """The points of one round; each round uses other texts."""
        capacity = 0.0
        for clients in self.axes.clients if CONCURRENCY in series else ():
            point = await self._closed(CONCURRENCY, clients, number, USUAL, clients)
            capacity = point.load.pairs_per_second if clients == CLIENTS else capacity
            yield point
        for share in self.axes.shares if ARRIVALS in series and capacity else ():
            rate = share * capacity / USUAL.passages
            yield Point(ARRIVALS, share, number, await open_loop(self.client, self._asks(number, USUAL), rate, self.seconds, number))
        for count in self.axes.passages if PASSAGES in series else ():
            yield await self._closed(PASSAGES, count, number, Shape(count))
        for count in self.axes.words if WORDS in series else ():
            yield await self._closed(WORDS, count, number, Shape(USUAL.passages, count, count))
        if ONE in series:
            yield await self._closed(ONE, 1, number, Shape(1))
        if ALONE in series:
            yield await self._closed(ALONE, SMALL.passages, number, SMALL, factor=PERCENTILE_FACTOR)
        if BESIDE in series:
            yield await self._beside(number)
        if MIXED in series:
            yield await self._mixed(number)

    def _asks(self, number: int, *shapes: Shape) -> Iterator[Request]:
        return self.texts.requests(*shapes, seed=number)

    async def _closed(self, series: str, place: float, number: int, shape: Shape, clients: int = 1, factor: int = 1) -> Point:  # noqa: PLR0913, PLR0917
        load = await closed_loop(self.client, self._asks(number, shape), clients, for_seconds(self.seconds * factor))
        return Point(series, place, number, load)

    async def _beside(self, number: int) -> Point:
        done = asyncio.Event()
        large = asyncio.create_task(closed_loop(self.client, self._asks(~number, LARGE), 1, lambda: not done.is_set()))
        await asyncio.sleep(_HEAD_START_S)
        small = await self._closed(BESIDE, SMALL.passages, number, SMALL, factor=PERCENTILE_FACTOR)
        done.set()
        failures = (await large).failures  # without the large ones the small ones were alone, so these failures count
        return Point(small.series, small.place, number, Load(small.load.seconds, small.load.answers, {**failures, **small.load.failures}))

    async def _mixed(self, number: int) -> Point:
        before = await self._tokens()
        load = await closed_loop(self.client, self._asks(number, *MIXTURE), CLIENTS, for_seconds(self.seconds))
        return Point(MIXED, CLIENTS, number, load, padding_share(before, await self._tokens()))

    async def _tokens(self) -> Tokens | None:
        return await tokens(self.metrics_url) if self.metrics_url else None
