"""python -m pytest tests/unit/facade/http/test_envelope.py

What is known of each request afterwards: the fields of its line in the log, its id, and the reason under which a refusal is counted.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from facade.config.settings import Settings
from facade.errors import DeadlineExceededError, NotReadyError, OverloadedError, ScoringError
from facade.reranking.bundle import Bundle
from tests.contract.calls import GOOD, Scrape, call, eventually, get, post, ranked, refused, request, scrape
from tests.contract.in_process import InProcess
from tests.contract.scorers import Failing, Fixed, Held, Waking, held

Start = Callable[..., Awaitable[TestClient[Any, Any]]]
ACCESS = "facade.access"


@pytest.fixture
def app(aiohttp_client: AiohttpClient, caplog: pytest.LogCaptureFixture) -> Start:
    """An app in this process, whose log is kept at its most talkative."""
    caplog.set_level(logging.DEBUG)

    async def start(scorer: Any = None, **environment: str) -> TestClient[Any, Any]:
        return await aiohttp_client(InProcess(Settings.from_environment(environment), scorer or Fixed()))

    return start


def reported(caplog: pytest.LogCaptureFixture, route: str) -> list[dict[str, Any]]:
    """The fields of the route's lines in the access log."""
    return [vars(record) for record in caplog.records if record.name == ACCESS and vars(record)["route"] == route]


def rejects(now: Scrape) -> dict[str, float]:
    """How often each reason was counted, where it was."""
    return {dict(labels)["reason"]: count for (name, labels), count in now.samples.items() if name == "reranker_rejects_total" and count}


async def test_a_ranking_is_logged_with_its_sizes_and_times(app: Start, caplog: pytest.LogCaptureFixture, bundle: Bundle) -> None:
    client = await app()
    answer = await post(client, request("which rock floats", ["pumice", "basalt " * 600], truncate="END"), **{"X-Request-Id": "r-1"})
    ranked(answer)
    (line,) = reported(caplog, "ranking")
    assert {name: line[name] for name in ("request_id", "method", "status", "passages", "truncated", "model", "tokens")} == {
        "request_id": "r-1",
        "method": "POST",
        "status": 200,
        "passages": 2,
        "truncated": 1,
        "model": bundle.model_id,
        "tokens": answer.body["usage"]["total_tokens"],
    }
    stages = [line[f"{stage}_ms"] for stage in ("decode", "tokenise", "queue", "infer", "pack", "rank")]
    assert 0 < sum(stages) <= line["ms"]
    assert "POST ranking 200" in line["message"]


async def test_a_request_without_an_id_is_logged_with_the_one_it_is_answered_with(app: Start, caplog: pytest.LogCaptureFixture) -> None:
    answer = await get(await app(), "/v1/version")
    assert [line["request_id"] for line in reported(caplog, "version")] == [answer.headers["X-Request-Id"]]


async def test_health_checks_and_scrapes_are_logged_at_debug_while_all_is_well(app: Start, caplog: pytest.LogCaptureFixture) -> None:
    client = await app(Waking())
    await get(client, "/v1/health/live")
    await get(client, "/v1/health/ready")
    await get(client, "/v1/metrics")
    levels = [
        (line["route"], line["status"], line["levelname"])
        for name in ("health_live", "health_ready", "metrics")
        for line in reported(caplog, name)
    ]
    assert levels == [("health_live", 200, "DEBUG"), ("health_ready", 503, "INFO"), ("metrics", 200, "DEBUG")]


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        (OverloadedError("full"), "overloaded", 503),
        (NotReadyError("away"), "not_ready", 503),
        (DeadlineExceededError(), "deadline_exceeded", 504),
        (ScoringError("broken"), "scoring", 500),
        (RuntimeError("a bug"), "internal", 500),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_failure_is_counted_by_its_reason(app: Start, error: Exception, reason: str, status: int) -> None:
    client = await app(Failing(lambda: error))
    refused(await post(client, GOOD), status)
    assert rejects(await scrape(client)) == {reason: 1}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": b'"' + b"a" * 2000 + b'"', "headers": {"Content-Type": "application/json"}}, 413),
        ({"data": b"{}", "headers": {"Content-Type": "application/json"}}, 400),
    ],
    ids=["415", "413", "400"],
)
async def test_a_fault_of_the_caller_is_counted_as_an_invalid_request(app: Start, arguments: dict[str, Any], status: int) -> None:
    client = await app(RERANKER_HTTP_BODY_LIMIT_BYTES="1000")
    refused(await call(client, "POST", "/v1/ranking", **arguments), status)
    assert rejects(await scrape(client)) == {"invalid_request": 1}


async def test_a_path_that_does_not_exist_and_a_health_check_that_fails_are_no_refusals(app: Start) -> None:
    client = await app(Waking())
    refused(await get(client, "/v1/nothing"), 404)
    refused(await get(client, "/v1/health/ready"), 503)
    assert rejects(await scrape(client)) == {}


async def test_a_caller_that_leaves_is_logged_and_counted(app: Start, caplog: pytest.LogCaptureFixture) -> None:
    scorer = Held()
    client = await app(scorer)
    leaving = await held(client, scorer)
    leaving.cancel()
    await asyncio.wait_for(scorer.cancelled.wait(), 60)

    async def counted() -> bool:
        return rejects(await scrape(client)) == {"client_left": 1}

    await eventually(counted, "the one that left is counted")
    assert [(line["status"], line["passages"]) for line in reported(caplog, "ranking")] == [(499, 2)]


async def test_what_no_http_parser_takes_is_logged_with_the_id_that_it_is_answered_with(
    app: Start, caplog: pytest.LogCaptureFixture
) -> None:
    client = await app()
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"this is no HTTP\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    (line,) = [vars(record) for record in caplog.records if record.name == "facade.http.malformed"]
    assert f"X-Request-Id: {line['request_id']}".encode() in answer
