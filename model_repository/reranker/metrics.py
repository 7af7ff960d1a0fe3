"""The engine's counts as Triton's own metrics, for one version of the model and one of its instances. No Triton import."""

import threading
from collections import Counter
from typing import Any

TOKENS, ROWS, BATCHES = "reranker_engine_tokens_total", "reranker_engine_rows_total", "reranker_engine_batches_total"
FAILED, PADDING = "reranker_engine_failed_batches_total", "reranker_engine_padding_tokens_total"
TILES = "reranker_engine_tiles_total"
HITS, MISSES = "reranker_engine_image_cache_hits_total", "reranker_engine_image_cache_misses_total"
WAITING, WAITING_TILES, CACHED = "reranker_engine_waiting_tokens", "reranker_engine_waiting_tiles", "reranker_engine_image_cache_bytes"
COUNTERS = {
    TOKENS: "Tokens of pairs that the engine computed",
    ROWS: "Pairs that the engine computed",
    BATCHES: "Batches in which it computed them",
    FAILED: "Batches of which a row could not be scored",
    PADDING: "Tokens of padding that it computed beside them",
    TILES: "Tiles of images whose features it computed",
    HITS: "Pairs whose image had its features in the cache",
    MISSES: "Pairs whose image had none there, or not yet",
}
GAUGES = {
    WAITING: "Tokens in the pool, and of bulk calls beside it, that no batch has taken yet",
    WAITING_TILES: "Tiles of images that wait for their features",
    CACHED: "Bytes of the features in the cache",
}


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

    def asked(self, cached: int, missing: int) -> None:
        """Count a call's rows with images, by whether the cache had the features."""
        with self._changing:
            self._unpublished.update({HITS: cached, MISSES: missing})

    def seen(self, tiles: int) -> None:
        """Count a vision pass."""
        with self._changing:
            self._unpublished[TILES] += tiles

    def publish(self, waiting_tokens: int, waiting_tiles: int = 0, cached: int = 0) -> None:
        """Hand all counts to Triton, from the thread in which Triton calls the model. `cached`: bytes of features."""
        with self._changing:
            counts, self._unpublished = self._unpublished, Counter()
        for name, count in counts.items():
            self._series[name].increment(count)
        for name, value in ((WAITING, waiting_tokens), (WAITING_TILES, waiting_tiles), (CACHED, cached)):
            self._series[name].set(value)
