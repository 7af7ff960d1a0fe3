"""The wiring of the aiohttp application: parts, routes, middleware, and background tasks. Knows no endpoint."""

import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from aiohttp import web

from facade.background import running
from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.http import routes
from facade.http.access import AccessKeys
from facade.http.draining import Draining
from facade.http.envelope import METRICS, envelope
from facade.http.route import add_routes
from facade.http.security_headers import SecurityHeaders
from facade.http.service import SERVICE, Service
from facade.reranking.active_bundle import ActiveBundle
from facade.reranking.ranking import MAX_PASSAGES
from facade.reranking.tensors import MODEL
from facade.scoring.admission import Admission, Limits
from facade.scoring.scorer import Scorer, TritonScorer
from facade.telemetry.metrics import Metrics
from facade.triton.addresses import Addresses
from facade.triton.channel import Access
from facade.triton.client import Triton
from facade.triton.fleet import Fleet
from facade.triton.readiness import Readiness

if TYPE_CHECKING:
    from facade.http.tracing import Tracing

DRAINING = web.AppKey("stop", Draining)
# Requests of the largest size that fit in at a time. Bulk requests are admitted only while all requests in flight fill at most half of it.
# 512 passages of 512 tokens take 4 MB here: body, texts and ids have some 15 bytes a token.
LARGEST_REQUESTS = 20


def create_app(settings: Settings, scorer: Scorer | None = None) -> web.Application:
    """The facade. `scorer` takes Triton's place in tests. Raises BundleError where the bundle or the limit can't be
    used, SettingsError for settings that can't be.
    """
    current = ActiveBundle(settings.model_repository / MODEL, settings.max_seq_len)
    metrics = Metrics(
        (route.name for route in routes.ALL if route.shapes),
        dict.fromkeys(shape.name for route in routes.ALL for shape in route.shapes),
    )
    model, fleet = _model(settings, current)
    scorer = scorer or TritonScorer(model, current, settings.chunk_tokens, settings.chunks_in_flight)
    service = Service(
        settings=settings,
        current=current,
        threads=ThreadPoolExecutor(settings.tokenizers, thread_name_prefix="tokenise"),
        readers=ThreadPoolExecutor(settings.tokenizers, thread_name_prefix="images"),
        scorer=scorer,
        fleet=fleet,
        admission=Admission(_limits(settings, current)),
        readiness=Readiness(scorer),
        metrics=metrics,
        created=int(time.time()),
    )
    app = web.Application(middlewares=[envelope])
    app[SERVICE] = service
    app[METRICS] = metrics
    app[DRAINING] = Draining(service.readiness)
    add_routes(app, (*routes.served(settings.shapes), *(routes.PAGE if settings.page else ())))
    SecurityHeaders(settings.cors_origins, tls=settings.tls != "DISABLED").install(app)
    app[DRAINING].install(app)
    if gate := AccessKeys.of(settings):
        app.middlewares.append(gate.middleware)
        app.cleanup_ctx.append(_beside(gate.follow))
    if settings.otel:
        _tracing(settings).install(app)
    if isinstance(scorer, TritonScorer):
        app.cleanup_ctx.append(_open(model))
    app.cleanup_ctx.append(_background)
    return app


def _limits(settings: Settings, current: ActiveBundle) -> Limits:
    under_way = settings.chunk_tokens * settings.chunks_in_flight
    most_tokens = settings.max_tokens_in_flight or LARGEST_REQUESTS * MAX_PASSAGES * current.tokenizer.max_seq_len
    return Limits(
        settings.max_queue_size, most_tokens, settings.max_wait_s, under_way, settings.request_timeout_s, settings.max_bytes_in_flight
    )


def create_health_app(app: web.Application) -> web.Application:
    """Health and metrics of `app` alone, for an address that asks for neither certificate nor key."""
    health = web.Application(middlewares=[envelope])
    health[SERVICE] = app[SERVICE]
    health[METRICS] = app[METRICS]
    SecurityHeaders().install(health)
    add_routes(health, routes.MONITORING)
    return health


def _tracing(settings: Settings) -> "Tracing":
    """The traces of the app. Raises SettingsError where OpenTelemetry's SDK is not installed."""
    try:
        from facade.http.tracing import Tracing  # noqa: PLC0415 (without traces, nothing of OpenTelemetry is loaded)
    except ModuleNotFoundError as error:
        raise SettingsError(f"NIM_ENABLE_OTEL=1 needs the package {error.name}: pip install 'triton-reranker[otel]', or unset it") from None
    return Tracing(settings)


def _model(settings: Settings, current: ActiveBundle) -> tuple[Triton | Fleet, Fleet | None]:
    """The Triton, or the fleet of several, that computes; the second value is None for one alone."""
    access = Access.of(settings)
    endpoints = Addresses(settings.triton_target)
    if not endpoints.several:
        return Triton(settings.triton_target, access), None
    fleet = Fleet(endpoints, access, current)
    return fleet, fleet


def _open(model: Triton | Fleet) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        async with model:
            yield

    return context


def _beside(work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_: web.Application) -> AsyncIterator[None]:
        async with running(work()):
            yield

    return context


async def _background(app: web.Application) -> AsyncIterator[None]:
    """Watch readiness while the app runs, and end the threads after it."""
    service = app[SERVICE]
    async with running(service.readiness.watch()):
        yield
    for threads in (service.threads, service.readers):
        threads.shutdown(wait=False, cancel_futures=True)
