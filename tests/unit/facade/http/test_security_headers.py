"""python -m pytest tests/unit/facade/http/test_security_headers.py

Headers for browsers: some on every answer, a page policy that lets /docs work, and origins that may call, none unless listed.
"""

import asyncio
import hashlib
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from facade.config.settings import Settings
from facade.errors import ScoringError, SettingsError
from facade.http.access import new_key
from facade.http.openapi import PAGE
from facade.http.security_headers import SecurityHeaders, page_policy
from tests.contract.calls import GOOD, Answer, call, get, post, ranked, refused
from tests.contract.in_process import InProcess
from tests.contract.scorers import Failing, Fixed
from tests.hardening.certificates import self_signed

Start = Callable[..., Awaitable[TestClient[Any, Any]]]
ORIGIN = "https://search.example"
PATHS = ("/v1/models", "/v1/health/live", "/v1/metrics", "/openapi.json", "/docs", "/docs/swagger-ui.css", "/nowhere", "/docs/nowhere")


@pytest.fixture
def app(aiohttp_client: AiohttpClient) -> Start:
    async def start(scorer: Any = None, **environment: str) -> TestClient[Any, Any]:
        return await aiohttp_client(InProcess(Settings.from_environment(environment), scorer or Fixed()))

    return start


def directives(answer: Answer) -> dict[str, list[str]]:
    parts = (part.split() for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in parts}


def guarded(answer: Answer) -> None:
    assert answer.headers.getall("Server") == ["triton-reranker"]
    assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.getall("Referrer-Policy") == ["no-referrer"]
    assert directives(answer)["default-src"] == ["'none'"]
    assert directives(answer)["frame-ancestors"] == ["'none'"]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_carries_the_headers(app: Start, path: str) -> None:
    guarded(await get(await app(), path))


async def test_rankings_and_refusals_carry_them_too(app: Start) -> None:
    client = await app()
    guarded(await post(client, GOOD))
    guarded(await post(client, {}))
    guarded(await call(client, "DELETE", "/v1/ranking"))
    guarded(await post(await app(Failing(lambda: ScoringError("this one"))), GOOD))


async def test_broken_http_carries_them_too(app: Start) -> None:
    client = await app()
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"this is no HTTP\r\n\r\n")
    head, _, _ = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    for header in (b"Server: triton-reranker", b"X-Content-Type-Options: nosniff", b"frame-ancestors 'none'"):
        assert head.count(header) == 1


async def test_no_answer_is_stored_but_the_files_of_the_page(app: Start) -> None:
    client = await app()
    for path in PATHS:
        assert (await get(client, path)).headers.getall("Cache-Control") == ["max-age=86400" if "swagger" in path else "no-store"]
    assert (await post(client, GOOD)).headers["Cache-Control"] == "no-store"


async def test_the_page_may_run_its_own_script_and_load_from_its_own_server_alone(app: Start) -> None:
    allowed = directives(await get(await app(), "/docs"))
    (script,) = re.findall(r"<script>(.*?)</script>", PAGE)
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert allowed["script-src"] == ["'self'", f"'sha256-{digest}'"]
    assert allowed["style-src"] == allowed["connect-src"] == ["'self'"]
    assert "unsafe" not in str(allowed)


def test_the_page_has_nothing_that_the_policy_would_stop() -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", PAGE)


def test_every_script_of_a_page_is_allowed_by_its_own_hash() -> None:
    policy = page_policy("<script>one()</script><script src='/x.js'></script><script>\ntwo()\n</script>")
    assert policy.count("sha256-") == 2


async def test_with_tls_browsers_stay_with_it(app: Start, tmp_path: Path) -> None:
    own = self_signed(tmp_path, "localhost")
    client = await app(NIM_TLS_CERT_PATH=str(own.certificate), NIM_TLS_KEY_PATH=str(own.key))
    assert (await get(client, "/v1/models")).headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in (await get(await app(), "/v1/models")).headers


async def preflight(client: TestClient[Any, Any], origin: str, path: str = "/v1/ranking") -> Answer:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    return await call(client, "OPTIONS", path, headers=headers)


async def test_no_origin_may_call_unless_it_is_listed(app: Start) -> None:
    client = await app()
    refused(await preflight(client, ORIGIN), 405)
    answer = await post(client, GOOD, Origin=ORIGIN)
    ranked(answer)
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]
    assert "Vary" not in answer.headers


async def test_a_listed_origin_may_call(app: Start) -> None:
    client = await app(RERANKER_CORS_ORIGINS=f"http://localhost:3000,{ORIGIN}")
    asked = await preflight(client, ORIGIN)
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert asked.headers["Access-Control-Allow-Methods"] == "GET, POST"
    assert {"Authorization", "Content-Type", "X-Request-Id", "X-Priority"} <= set(asked.headers["Access-Control-Allow-Headers"].split(", "))
    for answer in (
        await post(client, GOOD, Origin=ORIGIN),
        await post(client, {}, Origin=ORIGIN),
        await call(client, "GET", "/nowhere", headers={"Origin": ORIGIN}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
        assert {"Server-Timing", "X-Truncated-Passages", "X-Request-Id", "Retry-After"} <= exposed
        assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", f"{ORIGIN}.evil.example", "http://search.example", f"{ORIGIN}:8443", "null", ""]
)
async def test_an_origin_that_is_not_listed_may_not(app: Start, origin: str) -> None:
    client = await app(RERANKER_CORS_ORIGINS=ORIGIN)
    refused(await preflight(client, origin), 405)
    answer = await post(client, GOOD, Origin=origin)
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


async def test_a_star_lets_every_origin_call(app: Start) -> None:
    client = await app(RERANKER_CORS_ORIGINS="*")
    assert (await preflight(client, "https://anybody.example")).status == 204
    answer = await post(client, GOOD, Origin="https://anybody.example")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_preflight_needs_no_key_and_the_call_after_it_does(app: Start, tmp_path: Path) -> None:
    key, line = new_key("page")
    file = tmp_path / "keys"
    write(file, line)
    client = await app(RERANKER_CORS_ORIGINS=ORIGIN, RERANKER_API_KEYS_FILE=str(file))
    assert (await preflight(client, ORIGIN)).status == 204
    answer = await post(client, GOOD, Origin=ORIGIN)
    refused(answer, 401)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    ranked(await post(client, GOOD, Origin=ORIGIN, Authorization=f"Bearer {key}"))


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def test_an_options_request_that_is_no_preflight_is_refused_as_ever(app: Start) -> None:
    client = await app(RERANKER_CORS_ORIGINS=ORIGIN)
    refused(await call(client, "OPTIONS", "/v1/ranking", headers={"Origin": ORIGIN}), 405)


@pytest.mark.parametrize("origin", ["search.example", "https://search.example/", "https://*.example", "https://", "HTTPS://search.example"])
def test_an_origin_that_no_browser_sends_is_refused_at_start(origin: str) -> None:
    with pytest.raises(SettingsError, match="RERANKER_CORS_ORIGINS="):
        SecurityHeaders((origin,))
