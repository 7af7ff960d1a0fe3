"""All Prometheus series of the facade. Dashboards depend on the names: docs/observability.md lists them.

Each app has its own registry, so that apps in one process (tests) share no counts. The engine's series are on Triton's metrics port.
"""

import re
from collections.abc import Iterable
from functools import cache

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from facade import __version__

CONTENT_TYPE = CONTENT_TYPE_LATEST
# Of a ranking, in order. `queue` and `infer` are the parts of a call to Triton.
STAGES = ("decode", "tokenise", "queue", "infer", "pack", "rank")
# A RerankerError is counted under its class name; the last two reasons are no RerankerErrors.
REASONS = (
    "invalid_request",
    "input_too_long",
    "unknown_model",
    "unauthorized",
    "request_timeout",
    "overloaded",
    "not_ready",
    "other_bundle",
    "deadline_exceeded",
    "scoring",
    "internal",
    "client_left",
)
# From one cached pair on a GPU to the default request timeout of 120 s.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_POWERS_OF_TWO = tuple(2**power for power in range(10))


def reason(error: Exception) -> str:
    """The value of the label `reason` for this error: OverloadedError -> overloaded. A class without a reason has that of its base."""
    return _reason_of(type(error).__mro__)


@cache
def _reason_of(kinds: tuple[type, ...]) -> str:
    names = (re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__.removesuffix("Error")).lower() for kind in kinds)
    return next((name for name in names if name in REASONS), "internal")


class Metrics:
    """All series of one app; `text` is the answer to a scrape. `rankings`: the names of the routes that rank;
    `shapes`: those of their request shapes.
    """

    def __init__(self, rankings: Iterable[str] = (), shapes: Iterable[str] = ()) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter("reranker_requests", "HTTP requests answered.", ("route", "status"), registry=registry)
        self.request_seconds = Histogram(
            "reranker_request_seconds", "Seconds from a request's head to its answer.", ("route",), buckets=_SECONDS, registry=registry
        )
        self.shapes = Counter("reranker_shapes", "Rankings answered, by the shape of the request.", ("shape", "status"), registry=registry)
        self.stage_seconds = Histogram(
            "reranker_stage_seconds", "Seconds a ranking spent in each stage.", ("stage",), buckets=_SECONDS, registry=registry
        )
        self.passages = Histogram("reranker_request_passages", "Passages of a ranking.", buckets=_POWERS_OF_TWO, registry=registry)
        self.pairs = Counter("reranker_pairs", "Pairs scored.", registry=registry)
        self.tokens = Counter("reranker_tokens", "Tokens scored, after truncation, without padding.", registry=registry)
        self.truncated_pairs = Counter("reranker_truncated_pairs", "Pairs that lost tokens to truncate END.", registry=registry)
        self.truncated_queries = Counter(
            "reranker_truncated_queries",
            "Rankings whose query alone filled the limit under truncate END: no passage was read.",
            registry=registry,
        )
        self.rejects = Counter(
            "reranker_rejects", "Requests that were refused or failed, health checks left out.", ("reason",), registry=registry
        )
        self.requests_in_flight = Gauge("reranker_requests_in_flight", "Admitted rankings.", registry=registry)
        self.tokens_in_flight = Gauge("reranker_tokens_in_flight", "Tokens of the admitted rankings.", registry=registry)
        self.tokens_per_second = Gauge(
            "reranker_tokens_per_second", "Tokens a second that admission counts with; 0 until it is known.", registry=registry
        )
        self.ready = Gauge("reranker_ready", "1 while rankings are answered.", registry=registry)
        self.tritons = Gauge(
            "reranker_tritons",
            "Tritons of a fleet, by state: serving, other_bundle or away.",
            ("state",),
            registry=registry,
        )
        self.info = Gauge("reranker_info", "The served model; always 1.", ("model", "version", "digest"), registry=registry)
        self.engine = Gauge("reranker_engine_info", "The engine that computes; always 1.", ("engine",), registry=registry)
        self.build = Gauge("reranker_build_info", "The version of this software; always 1.", ("version",), registry=registry)
        self.build.labels(__version__).set(1)
        # Of every request: `labels` takes several times as long as a look into a cache. Routes, statuses and reasons are few.
        self.of_route = cache(lambda route, status: (self.requests.labels(route, str(status)), self.request_seconds.labels(route)))
        self.of_shape = cache(self.shapes.labels)
        self.of_reason = cache(self.rejects.labels)
        self._begin_at_zero(rankings, shapes)
        for collector in (ProcessCollector, GCCollector, PlatformCollector):
            collector(registry=registry)

    def _begin_at_zero(self, rankings: Iterable[str], shapes: Iterable[str]) -> None:
        """Create series with value 0: rate() does not see the first event of a series that this event creates."""
        for stage in STAGES:
            self.stage_seconds.labels(stage)
        for each in REASONS:
            self.rejects.labels(each)
        for route in rankings:
            self.requests.labels(route, "200")
        for shape in shapes:
            self.shapes.labels(shape, "200")

    def text(self) -> bytes:
        """All series in the Prometheus exposition format, UTF-8."""
        return generate_latest(self._registry)
