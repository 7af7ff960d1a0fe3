"""python -m pytest tests/unit/reranker/test_metrics.py

Counts of any thread reach Triton when they are published, and once.
"""

from collections import Counter
from typing import Any

from reranker.metrics import COUNTERS, GAUGES, EngineMetrics

PUBLISHED: Counter[str] = Counter()


class Family:
    """Stands for Triton's MetricFamily: adds up what a series is given."""

    COUNTER, GAUGE = "counter", "gauge"

    def __init__(self, name: str, description: str, kind: str) -> None:
        assert description
        assert (name in COUNTERS) == (kind == self.COUNTER)
        self._name = name

    def Metric(self, labels: dict[str, str]) -> Any:  # noqa: N802 (Triton's name)
        assert labels == {"version": "1"}
        return self

    def increment(self, count: int) -> None:
        PUBLISHED[self._name] += count

    def set(self, value: int) -> None:
        PUBLISHED[self._name] = value


def test_counts_are_published_once() -> None:
    PUBLISHED.clear()
    metrics = EngineMetrics(Family, {"version": "1"})
    metrics.computed(3, 40, 48)
    metrics.computed(1, 10, 16)
    metrics.failed()
    assert PUBLISHED == {}
    metrics.asked(2, 3)
    metrics.asked(1, 0)
    metrics.seen(7)
    metrics.publish(7, 9, 1000)
    metrics.publish(5, 2, 2000)
    assert dict(zip(GAUGES, (5, 2, 2000), strict=True)) == {name: PUBLISHED.pop(name) for name in GAUGES}
    assert dict(zip(COUNTERS, (50, 4, 2, 1, 14, 7, 3, 3), strict=True)) == PUBLISHED
