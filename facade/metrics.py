"""Every Prometheus series of the facade. Names are public: dashboards depend on them.

One instance per app, with a registry of its own, so that several apps in one process (tests) don't share counts.
"""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
# From a cache-warm pair on a GPU to the request timeout of 120 s.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_POWERS_OF_TWO = tuple(2**power for power in range(10))


class Metrics:
    """Counters and histograms by name; `text` is what a scrape gets."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter("reranker_requests", "HTTP requests answered.", ("route", "status"), registry=registry)
        self.request_seconds = Histogram(
            "reranker_request_seconds", "Seconds from a request's head to its answer.", ("route",), buckets=_SECONDS, registry=registry
        )
        self.stage_seconds = Histogram(
            "reranker_stage_seconds", "Seconds a ranking spent in each stage.", ("stage",), buckets=_SECONDS, registry=registry
        )
        self.passages = Histogram("reranker_request_passages", "Passages of a ranking.", buckets=_POWERS_OF_TWO, registry=registry)
        self.pairs = Counter("reranker_pairs", "Pairs scored.", registry=registry)
        self.tokens = Counter("reranker_tokens", "Tokens scored, after truncation, without padding.", registry=registry)
        self.truncated_pairs = Counter("reranker_truncated_pairs", "Pairs that lost tokens to truncate END.", registry=registry)
        self.rejects = Counter("reranker_rejects", "Rankings that were refused or failed.", ("reason",), registry=registry)
        self.requests_in_flight = Gauge("reranker_requests_in_flight", "Admitted rankings.", registry=registry)
        self.tokens_in_flight = Gauge("reranker_tokens_in_flight", "Tokens of the admitted rankings.", registry=registry)
        self.ready = Gauge("reranker_ready", "1 while rankings are answered.", registry=registry)
        self.info = Gauge("reranker_info", "The served model; always 1.", ("model", "version", "digest"), registry=registry)
        self.engine = Gauge("reranker_engine_info", "The engine that computes; always 1.", ("engine",), registry=registry)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
