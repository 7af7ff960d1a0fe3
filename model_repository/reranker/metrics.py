"""The engine's counts as Triton's own metrics, for one version of the model and one of its instances. No Triton import."""

import threading
from collections import Counter
from typing import Any

TOKENS, ROWS, BATCHES = "reranker_engine_tokens_total", "reranker_engine_rows_total", "reranker_engine_batches_total"
FAILED, PADDING = "reranker_engine_failed_batches_total", "reranker_engine_padding_tokens_total"
WAITING = "reranker_engine_waiting_tokens"
COUNTERS = {
    TOKENS: "Tokens of pairs that the engine computed",
    ROWS: "Pairs that the engine computed",
    BATCHES: "Batches in which it computed them",
    FAILED: "Batches of which a row could not be scored",
    PADDING: "Tokens of padding that it computed beside them",
}
GAUGES = {WAITING: "Tokens in the pool, and of bulk calls beside it, that no batch has taken yet"}


class EngineMetrics:
    """Counts in any thread, and publishes in Triton's: metrics that two threads add to crash Triton (2.51).

    `family`: the class MetricFamily of Triton's Python backend.
    """

    def __init__(self, family: Any, labels: dict[str, str]) -> None:
        kinds = dict.fromkeys(COUNTERS, family.COUNTER) | dict.fromkeys(GAUGES, family.GAUGE)
        # Triton drops a family without a reference to it, and then refuses its metrics.
        self._families = {name: family(name=name, description=meaning, kind=kinds[name]) for name, meaning in (COUNTERS | GAUGES).items()}
        self._series = {name: each.Metric(labels=labels) for name, each in self._families.items()}
        self._changing = threading.Lock()
        self._unpublished: Counter[str] = Counter()

    def computed(self, rows: int, tokens: int, computed: int) -> None:
        """Count a batch: its rows, and its tokens without padding and with it."""
        with self._changing:
            self._unpublished.update({ROWS: rows, BATCHES: 1, TOKENS: tokens, PADDING: computed - tokens})

    def failed(self) -> None:
        """Count a batch of which a row could not be scored."""
        with self._changing:
            self._unpublished[FAILED] += 1

    def publish(self, waiting_tokens: int) -> None:
        """Hand all counts to Triton, from the thread in which Triton calls the model."""
        with self._changing:
            counts, self._unpublished = self._unpublished, Counter()
        for name, count in counts.items():
            self._series[name].increment(count)
        self._series[WAITING].set(waiting_tokens)
