"""Points -> the figures of targets and reports. Does not know servers or formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from scripts.benchmark import series, targets
from scripts.benchmark.load import Timed
from scripts.benchmark.series import Point
from scripts.benchmark.workload import USUAL


@dataclass(frozen=True)
class Points:
    """The points of all rounds of a run."""

    points: Sequence[Point]

    def of(self, name: str, place: float | None = None) -> list[Point]:
        """The points of a series, at one place or at all places."""
        return [point for point in self.points if point.series == name and place in {None, point.place}]

    def places(self, name: str) -> list[float]:
        """The places of a series, sorted."""
        return sorted({point.place for point in self.of(name)})

    def answers(self, name: str, place: float | None = None) -> list[Timed]:
        """The answered requests of all rounds."""
        return [answer for point in self.of(name, place) for answer in point.load.answers]

    def throughput(self, name: str, place: float) -> float | None:
        """Pairs per second, the median of the rounds."""
        rates = [point.load.pairs_per_second for point in self.of(name, place)]
        return median(rates) if rates else None

    def pair_ms(self, name: str, place: float) -> float | None:
        """Milliseconds per pair, the median of the rounds."""
        rate = self.throughput(name, place)
        return 1000.0 / rate if rate else None

    def percentile_ms(self, name: str, place: float, percent: float) -> float | None:
        """The percentile of a place's answer times over all rounds, in milliseconds."""
        answers = self.answers(name, place)
        return float(np.percentile([answer.seconds for answer in answers], percent)) * 1000.0 if answers else None

    def failures(self) -> int:
        """The count of requests without scores."""
        return sum(sum(point.load.failures.values()) for point in self.points)


def figures(points: Points) -> dict[str, float | None]:
    """The figures of the targets that points determine."""
    small = series.SMALL.passages
    beside, alone = (points.percentile_ms(name, small, 99.0) for name in (series.BESIDE, series.ALONE))
    large, usual = (points.pair_ms(series.PASSAGES, count) for count in (series.LARGE.passages, USUAL.passages))
    beyond = [answer.seconds - answer.engine_s for answer in points.answers(series.ONE) if answer.engine_s is not None]
    padding = [point.padding for point in points.of(series.MIXED) if point.padding is not None]
    return {
        targets.OVERHEAD: median(beyond) * 1000.0 if beyond else None,
        targets.PADDING: median(padding) * 100.0 if padding else None,
        targets.TAIL: _ratio(beside, alone),
        targets.PAIR_COST: _ratio(large, usual),
    }


def _ratio(value: float | None, to: float | None) -> float | None:
    return value / to if value is not None and to else None
