"""python -m pytest tests/unit/facade/http/test_access.py

Which endpoints need a key, and a file of keys that changes. Keys: test_access_keys.py; the real server: tests/hardening/test_api_keys.py.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.http.access import AccessKeys, Keys, new_key
from facade.http.app import create_app
from tests.contract.calls import GOOD, call, get, post, ranked, refused
from tests.contract.scorers import Fixed
from tests.unit.facade.http.access_key import KEY, LINE, bearer
from tests.unit.waiting import until

Start = Callable[..., Awaitable[TestClient[Any, Any]]]


def write(file: Path, text: str) -> None:
    file.write_text(text)


def remove(file: Path) -> None:
    file.unlink()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    made.write_text(f"{LINE}\n")
    return made


@pytest.fixture
def app(aiohttp_client: AiohttpClient, file: Path) -> Start:
    async def start(**environment: str) -> TestClient[Any, Any]:
        named = {"RERANKER_API_KEYS_FILE": str(file), **environment}
        return await aiohttp_client(create_app(Settings.from_environment(named), Fixed()))

    return start


async def test_a_ranking_needs_a_key(app: Start) -> None:
    client = await app()
    answer = await post(client, GOOD)
    said = refused(answer, 401)["message"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer" in said
    ranked(await post(client, GOOD, **bearer(KEY)))


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer",
        "Bearer ",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer x {KEY}",
        "Bearer schlüssel",
    ],
)
async def test_what_is_no_known_key_is_refused_and_not_repeated(app: Start, header: str) -> None:
    client = await app()
    answer = await post(client, GOOD, Authorization=header)
    refused(answer, 401)
    assert KEY not in answer.text
    assert "wrong" not in answer.text


@pytest.mark.parametrize("header", [f"bearer {KEY}", f"BEARER   {KEY}"])
async def test_the_scheme_may_be_written_as_http_lets_it_be(app: Start, header: str) -> None:
    ranked(await post(await app(), GOOD, Authorization=header))


async def test_two_keys_are_none(app: Start) -> None:
    client = await app()
    headers = [("Content-Type", "application/json"), *bearer(KEY).items(), *bearer(KEY).items()]
    refused(await call(client, "POST", "/v1/ranking", data=b"{}", headers=headers), 401)


async def test_a_refusal_comes_before_the_body(app: Start) -> None:
    client = await app()
    sent = asyncio.Event()

    async def endless() -> Any:
        yield b'{"query":'
        await sent.wait()

    async with client.post("/v1/ranking", data=endless(), headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 401
        sent.set()


HEALTH = ("/v1/health/live", "/v1/health/ready", "/health/live")
DOCS = ("/docs", "/docs/swagger-ui.css", "/openapi.json")
OTHERS = ("/v1/metadata", "/v1/version", "/v1/license", "/v1/manifest", "/nowhere", "/page", "/docs/../v1/metadata", "/v1/health/live/x")


@pytest.mark.parametrize(
    ("exempt", "free"),
    [
        (None, (*HEALTH, "/v1/metrics")),
        ("none", ()),
        ("health", HEALTH),
        ("docs,models", (*DOCS, "/v1/models")),
    ],
)
async def test_only_what_is_exempt_needs_no_key(app: Start, exempt: str | None, free: tuple[str, ...]) -> None:
    client = await app(**({"RERANKER_API_KEYS_EXEMPT": exempt} if exempt else {}))
    for path in (*HEALTH, *DOCS, *OTHERS, "/v1/metrics", "/v1/models"):
        status = (await get(client, path)).status
        assert (status != 401) == (path in free), path
        assert (await call(client, "GET", path, headers=bearer(KEY))).status != 401


async def test_another_method_on_an_exempt_path_needs_a_key(app: Start) -> None:
    refused(await call(await app(), "DELETE", "/v1/health/live"), 401)


async def test_without_a_file_any_authorization_is_ignored(aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(create_app(Settings(), Fixed()))
    for headers in ({}, bearer("nvapi-anything"), {"Authorization": "nonsense"}):
        ranked(await post(client, GOOD, **headers))


async def test_the_log_has_the_caller_s_name_and_never_a_key(app: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await app()
    await post(client, GOOD, **bearer(KEY))
    await post(client, GOOD, **bearer("a-wrong-key"))
    lines = [vars(record) for record in caplog.records if record.name == "facade.access"]
    assert [(line["status"], line.get("caller")) for line in lines] == [(200, "search"), (401, None)]
    assert not any(key in str(vars(record)) for record in caplog.records for key in (KEY, "a-wrong-key"))


async def test_a_key_that_is_taken_away_is_refused_and_a_new_one_is_known(file: Path) -> None:
    gate = AccessKeys(file, ())
    task = asyncio.create_task(gate.follow(every_s=0.005))
    key, line = new_key("index")
    write(file, f"{line}\n")
    await until(lambda: caller(gate, key) == "index")
    assert caller(gate, KEY) is None
    write(file, "# no client\n")
    await until(lambda: caller(gate, key) is None)
    task.cancel()


async def test_a_broken_file_changes_nothing(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = AccessKeys(file, ())
    task = asyncio.create_task(gate.follow(every_s=0.005))
    write(file, "nonsense\n")
    await until(lambda: "line 1 is not" in caplog.text)
    assert caller(gate, KEY) == "search"
    remove(file)
    await until(lambda: "can't be read" in caplog.text)
    assert caller(gate, KEY) == "search"
    task.cancel()


def caller(gate: AccessKeys, key: str) -> str | None:
    keys: Keys = gate._keys
    return keys.caller(key)


@pytest.mark.parametrize("content", [b"nonsense\n", b"\xff\xfe", None])
def test_a_start_with_a_file_that_can_t_be_used_says_which(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(f"RERANKER_API_KEYS_FILE={file}")):
        AccessKeys(file, ())


async def test_a_file_without_a_key_lets_no_client_in_and_says_so(app: Start, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(file, "# to be filled\n")
    refused(await post(await app(), GOOD, **bearer(KEY)), 401)
    assert "has no key" in caplog.text
