"""A collector of traces, as small as one can be: takes OTLP over HTTP, as protobuf or as JSON, and keeps every span and every byte."""

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """One span as it arrived; ids in hex, no parent is an empty id."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    status: str
    attributes: Mapping[str, Any]
    events: tuple[str, ...]


@dataclass
class Collector:
    """Everything that arrived: spans, and the bodies as they came."""

    url: str
    spans: list[Span] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def of(self, trace_id: str) -> list[Span]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            collector.paths.append(self.path)
            collector.headers.append(dict(self.headers))
            collector.bodies.append(plain)
            collector.spans.extend(_spans(plain, self.headers["Content-Type"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _spans(body: bytes, content_type: str) -> Iterator[Span]:
    return _from_json(json.loads(body)) if "json" in content_type else _from_protobuf(ExportTraceServiceRequest.FromString(body))


def _from_protobuf(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = {each.key: each.value.string_value for each in resource.resource.attributes}.get("service.name", "")
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield Span(
                service,
                span.name,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                span.status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
                {each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value") for each in span.attributes},
                tuple(event.name for event in span.events),
            )


def _from_json(request: Any) -> Iterator[Span]:
    for resource in request["resourceSpans"]:
        service = _attributes(resource["resource"]).get("service.name", "")
        for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
            yield Span(
                service,
                span["name"],
                span["traceId"],
                span["spanId"],
                span.get("parentSpanId", ""),
                str(span.get("kind", "")),
                str(span.get("status", {}).get("code", "")),
                _attributes(span),
                tuple(event["name"] for event in span.get("events", ())),
            )


def _attributes(holder: Any) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values()), None) for each in holder.get("attributes", ())}
