"""Points -> the figures that targets and reports speak of. Knows no server and no form."""

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
    """All points of a run, of every round."""

    points: Sequence[Point]

    def of(self, name: str, place: float | None = None) -> list[Point]:
        """The points of a series, at one place of it or at all."""
        return [point for point in self.points if point.series == name and place in {None, point.place}]

    def places(self, name: str) -> list[float]:
        """Where a series was measured, in order."""
        return sorted({point.place for point in self.of(name)})

    def answers(self, name: str, place: float | None = None) -> list[Timed]:
        """The answered requests of all rounds together."""
        return [answer for point in self.of(name, place) for answer in point.load.answers]

    def throughput(self, name: str, place: float) -> float | None:
        """Pairs a second, median of the rounds."""
        rates = [point.load.pairs_per_second for point in self.of(name, place)]
        return median(rates) if rates else None

    def pair_ms(self, name: str, place: float) -> float | None:
        """Milliseconds per pair, median of the rounds."""
        rate = self.throughput(name, place)
        return 1000.0 / rate if rate else None

    def percentile_ms(self, name: str, place: float, percent: float) -> float | None:
        """Milliseconds within which `percent` of a place's answers came, all rounds together."""
        answers = self.answers(name, place)
        return float(np.percentile([answer.seconds for answer in answers], percent)) * 1000.0 if answers else None

    def failures(self) -> int:
        """Requests of all points that brought no scores."""
        return sum(sum(point.load.failures.values()) for point in self.points)


def figures(points: Points) -> dict[str, float | None]:
    """The targets' figures that come from points alone."""
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
