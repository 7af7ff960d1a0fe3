"""Traces by OpenTelemetry: a span for each request and for its stages, in the client's trace, with Triton's spans below them.

A span has names, sizes and times, never text: no path or header as it came, no message of an exception. The SDK is an extra:
`app` imports this module only where traces are switched on. Knows no endpoint.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE, HTTP_ROUTE
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PROTOCOL_VERSION
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION
from opentelemetry.semconv.attributes.url_attributes import URL_SCHEME
from opentelemetry.trace import Span, SpanKind, StatusCode, format_span_id, format_trace_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from facade import __version__
from facade.config.settings import Settings
from facade.http.envelope import FIELDS
from facade.http.route import Handler, route_of
from facade.telemetry import correlation
from facade.telemetry.otlp_endpoint import traces_url

LOG = logging.getLogger(__name__)

# The only header that is passed on. The others, tracestate and baggage, are a client's text, which the SDK logs where it is malformed, and
# Triton reads neither.
_TRACEPARENT = "traceparent"
_OWN = "reranker."  # before the names of attributes for which there is no convention
# Fields that have an attribute in the conventions.
_CONVENTIONAL = frozenset({"method", "route"})
# An unreachable collector must not keep the server from stopping in the time that its supervisor allows.
_FLUSH_S = 3.0


class Tracing:
    """The spans of one app and their exporter; a correlation.Trace for all of its requests.

    `flush_s`: seconds that the last spans have to reach the collector.
    """

    def __init__(self, settings: Settings, flush_s: float = _FLUSH_S) -> None:
        self._flush_s = flush_s
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: settings.otel_service_name, SERVICE_VERSION: __version__}))
        if exporter := _exporter(settings):
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("facade", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def install(self, app: web.Application) -> None:
        """Trace all requests of the app, outside of all its middleware."""
        app.middlewares.insert(0, self._middleware)
        app.cleanup_ctx.append(self._lifetime)

    async def _lifetime(self, _: web.Application) -> AsyncIterator[None]:
        """Export the last spans at the end."""
        yield
        flush = threading.Thread(target=self._provider.shutdown, name="flush-traces", daemon=True)
        flush.start()
        await asyncio.to_thread(flush.join, self._flush_s)
        if flush.is_alive():  # the thread is a daemon: it ends with the process
            LOG.warning("the last spans did not reach the collector within %.0f s", self._flush_s)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The span of a request."""
        route = route_of(request)
        if route.quiet:
            return await handler(request)
        opened = self._tracer.start_as_current_span(
            f"{request.method} {route.path}",
            self._propagator.extract({_TRACEPARENT: request.headers.get(_TRACEPARENT, "")}),
            SpanKind.SERVER,
            {
                HTTP_REQUEST_METHOD: request.method,
                HTTP_ROUTE: route.path,
                URL_SCHEME: request.scheme,
                NETWORK_PROTOCOL_VERSION: f"{request.version.major}.{request.version.minor}",
            },
            record_exception=False,
            set_status_on_exception=False,
        )
        with opened as span, correlation.traced(self):
            try:
                response = await handler(request)
                _close(span, response.status)
            except asyncio.CancelledError:
                span.set_attribute(ERROR_TYPE, "client_left")
                raise
            finally:
                _describe(span, request.get(FIELDS, {}))
            return response

    @contextmanager
    def span(self, name: str) -> Iterator[Span]:
        """A span below the current one. An exception is recorded by its type alone: its message may hold text."""
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute(ERROR_TYPE, type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def headers(self) -> Mapping[str, str]:
        """The traceparent of the current span; none where the trace is not sampled, because Triton would trace the call anyway."""
        if not get_current_span().get_span_context().trace_flags.sampled:
            return {}
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return {_TRACEPARENT: carrier[_TRACEPARENT]}

    def ids(self) -> Mapping[str, str]:
        """trace_id and span_id of the current span."""
        context = get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}


def _exporter(settings: Settings) -> SpanExporter | None:
    if settings.otel_exporter == "otlp":
        return OTLPSpanExporter(traces_url(settings))
    if settings.otel_exporter == "console":
        return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: f"{span.to_json(indent=None)}\n")
    return None


def _close(span: Span, status: int) -> None:
    span.set_attribute(HTTP_RESPONSE_STATUS_CODE, status)
    if status >= 500:
        span.set_attribute(ERROR_TYPE, str(status))
        span.set_status(StatusCode.ERROR)


def _describe(span: Span, fields: Mapping[str, object]) -> None:
    for name, value in fields.items():
        if name not in _CONVENTIONAL and isinstance(value, str | bool | int | float):
            span.set_attribute(_OWN + name, value)
