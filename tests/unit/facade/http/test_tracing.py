"""python -m pytest tests/unit/facade/http/test_tracing.py

Traces as a collector gets them, by OTLP over HTTP: which spans, how they hang together, what they have, and what they never have.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from facade.config.settings import Settings
from facade.errors import ScoringError
from facade.http import tracing
from facade.http.app import create_app
from facade.reranking.bundle import Bundle
from facade.telemetry import correlation
from tests.collector import Collector, Span, collecting
from tests.conftest import free_ports
from tests.contract.calls import GOOD, get, post, ranked, refused, request
from tests.contract.scorers import Failing, Fixed, Held, held

StartTraced = Callable[..., Awaitable[TestClient[Any, Any]]]
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
STAGES = ["decode", "tokenise", "score", "rank"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture
def traced(aiohttp_client: AiohttpClient, collector: Collector) -> StartTraced:
    """An app in this process that traces to the collector; closing it sends what it has."""

    async def start(scorer: Any = None, **environment: str) -> TestClient[Any, Any]:
        settings = {"NIM_ENABLE_OTEL": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **environment}
        return await aiohttp_client(create_app(Settings.from_environment(settings), scorer or Fixed()))

    return start


def of_caller(sampled: bool = True) -> dict[str, str]:
    return {"traceparent": f"00-{TRACE}-{CALLER}-{int(sampled):02d}"}


def server_span(collector: Collector) -> Span:
    (span,) = [span for span in collector.spans if span.kind == "SERVER"]
    return span


async def test_a_request_is_a_span_of_the_callers_trace_and_its_stages_are_spans_below_it(
    traced: StartTraced, collector: Collector
) -> None:
    client = await traced()
    ranked(await post(client, GOOD, **of_caller()))
    await client.close()
    whole = server_span(collector)
    assert (whole.name, whole.trace_id, whole.parent_id) == ("POST /v1/ranking", TRACE, CALLER)
    stages = [span for span in collector.spans if span is not whole]
    assert [span.name for span in stages] == STAGES
    assert {(span.trace_id, span.parent_id) for span in stages} == {(TRACE, whole.span_id)}
    assert collector.paths == ["/v1/traces"]


async def test_a_span_tells_sizes_times_and_names(traced: StartTraced, collector: Collector, bundle: Bundle) -> None:
    client = await traced()
    answer = await post(client, request("which rock floats", ["pumice", "basalt " * 600], truncate="END"), **{"X-Request-Id": "r-1"})
    await client.close()
    reported = server_span(collector).attributes
    assert reported["http.request.method"] == "POST"
    assert reported["http.route"] == "/v1/ranking"
    assert reported["http.response.status_code"] == 200
    assert reported["url.scheme"] == "http"
    assert reported["network.protocol.version"] == "1.1"
    assert reported["reranker.request_id"] == "r-1"
    assert reported["reranker.passages"] == 2
    assert reported["reranker.truncated"] == 1
    assert reported["reranker.tokens"] == answer.body["usage"]["total_tokens"]
    assert reported["reranker.model"] == bundle.model_id
    assert {f"reranker.{stage}_ms" for stage in ("decode", "tokenise", "queue", "infer", "pack", "rank")} <= set(reported)


async def test_the_resource_is_the_services_and_what_otel_variables_add(
    traced: StartTraced, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=abc")
    client = await traced(OTEL_SERVICE_NAME="search-reranker")
    await post(client, GOOD)
    await client.close()
    assert {span.service for span in collector.spans} == {"search-reranker"}
    assert b"staging" in collector.bodies[0]
    assert collector.headers[0]["authorization"] == "abc"


async def test_a_request_without_a_trace_begins_one_of_its_own(traced: StartTraced, collector: Collector) -> None:
    client = await traced()
    for _ in range(2):
        await post(client, GOOD)
    await client.close()
    roots = [span for span in collector.spans if span.kind == "SERVER"]
    assert [span.parent_id for span in roots] == ["", ""]
    assert len({span.trace_id for span in roots}) == 2


async def test_what_the_caller_does_not_sample_is_not_traced_and_sent_nowhere(traced: StartTraced, collector: Collector) -> None:
    client = await traced()
    ranked(await post(client, GOOD, **of_caller(sampled=False)))
    await client.close()
    assert collector.bodies == []


async def test_the_sampler_is_opentelemetrys_own_setting(
    traced: StartTraced, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    client = await traced()
    ranked(await post(client, GOOD))
    await client.close()
    assert collector.bodies == []


async def test_health_checks_and_scrapes_are_not_traced(traced: StartTraced, collector: Collector) -> None:
    client = await traced()
    for path in ("/v1/health/live", "/v1/health/ready", "/v1/metrics", "/v1/version"):
        await get(client, path)
    await client.close()
    assert [span.name for span in collector.spans] == ["GET /v1/version"]


async def test_a_callers_path_is_no_part_of_a_span(traced: StartTraced, collector: Collector) -> None:
    client = await traced()
    await get(client, "/v1/zanzibar?key=zanzibar")
    await post(client, GOOD, "/v1/retrieval/zanzibar/reranking")
    await client.close()
    assert [span.name for span in collector.spans if span.kind == "SERVER"] == ["GET unrouted", "POST /v1/retrieval/{model}/reranking"]
    assert b"zanzibar" not in b"".join(collector.bodies)


async def test_an_error_of_the_servers_own_is_marked_and_a_callers_is_not(traced: StartTraced, collector: Collector) -> None:
    client = await traced(Failing(lambda: ScoringError("broken")))
    refused(await post(client, GOOD), 500)
    refused(await post(client, {"passages": []}), 400)
    await client.close()
    failed, faulty = [span for span in collector.spans if span.kind == "SERVER"]
    assert (failed.status, failed.attributes["error.type"]) == ("ERROR", "500")
    assert faulty.status == "UNSET"
    assert "error.type" not in faulty.attributes
    score = next(span for span in collector.spans if span.name == "score")
    assert (score.status, score.attributes["error.type"], score.events) == ("ERROR", "ScoringError", ())


async def test_an_exception_that_holds_text_is_named_by_its_type(traced: StartTraced, collector: Collector) -> None:
    client = await traced(Failing(lambda: RuntimeError("zanzibar")))
    refused(await post(client, GOOD), 500)
    await client.close()
    assert "RuntimeError" in {span.attributes.get("error.type") for span in collector.spans}
    assert b"zanzibar" not in b"".join(collector.bodies)


async def test_a_client_that_leaves_ends_its_span(traced: StartTraced, collector: Collector) -> None:
    scorer = Held()
    client = await traced(scorer)
    leaving = await held(client, scorer)
    leaving.cancel()
    await asyncio.wait_for(scorer.cancelled.wait(), 60)
    await client.close()
    reported = server_span(collector).attributes
    assert reported["error.type"] == "client_left"
    assert reported["reranker.passages"] == len(GOOD["passages"])


async def test_a_line_of_the_log_has_the_ids_of_its_trace(traced: StartTraced) -> None:
    seen: list[dict[str, str]] = []

    class Watching(Fixed):
        async def score(self, pairs: Any, timeout_s: float, work: Any = None) -> Any:
            seen.append({**correlation.ids(), **correlation.headers()})
            return await super().score(pairs, timeout_s, work)

    client = await traced(Watching())
    await post(client, GOOD, **of_caller())
    await client.close()
    (ids,) = seen
    assert ids["trace_id"] == TRACE
    assert ids["traceparent"] == f"00-{TRACE}-{ids['span_id']}-01"


async def test_a_collector_that_is_away_does_not_keep_the_server_from_stopping(
    aiohttp_client: AiohttpClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")  # seconds: the exporter tries again after one, and ends before the next test
    (port,) = free_ports(1)
    app = create_app(Settings(), Fixed())
    away = Settings.from_environment({"NIM_ENABLE_OTEL": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"})
    tracing.Tracing(away, flush_s=0.2).install(app)
    client = await aiohttp_client(app)
    ranked(await post(client, GOOD))
    await client.close()
    for thread in threading.enumerate():
        if thread.name == "flush-traces":
            thread.join()
    assert any("did not reach the collector" in record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)


async def test_without_an_exporter_the_trace_goes_on_all_the_same(traced: StartTraced, collector: Collector) -> None:
    client = await traced(OTEL_TRACES_EXPORTER="none")
    ranked(await post(client, GOOD, **of_caller()))
    await client.close()
    assert collector.bodies == []


async def test_the_console_gets_a_line_of_json_for_each_span(traced: StartTraced, capfd: pytest.CaptureFixture[str]) -> None:
    client = await traced(OTEL_TRACES_EXPORTER="console")
    ranked(await post(client, GOOD))
    await client.close()
    reported = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert [span["name"] for span in reported] == [*STAGES, "POST /v1/ranking"]
