"""python -m pytest tests/hardening/test_api_keys.py

API keys as clients of a running server meet them: which are let in, also while the file is rewritten, and what the log has of keys.
What of a header is a key, and what of a file is one: tests/unit/facade/test_api_keys.py.
"""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import ROOT, Server
from tests.contract.calls import GOOD, READY, Answer, eventually, get, post, ranked, refused
from tests.hardening.issued_keys import Issued, issue
from tests.hardening.own_facade import Facade, start_facade, wait_until_ready

WRONG = "trr_this-key-was-never-made-by-anybody-at-all-00"
ALWAYS_FREE = ("/v1/health/live", "/v1/health/ready", "/v1/metrics")
NEVER_FREE = ("/v1/models", "/v1/metadata", "/openapi.json", "/docs", "/nowhere")


@dataclass(frozen=True)
class Setting:
    """A facade whose health and metrics are open, as by default, and one that is closed; the first one's file, and two keys for both."""

    open: Facade
    closed: Facade
    file: Path
    search: Issued
    index: Issued


@pytest.fixture(scope="module")
def setting(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("keys")
    search, index = issue("search"), issue("index")
    file, other = folder / "keys.txt", folder / "others.txt"
    for each in (file, other):
        each.write_text(f"# clients\n{search.line}\n{index.line}\n")
    talkative = {"NIM_LOG_LEVEL": "DEBUG", "NIM_JSONL_LOGGING": "1"}
    started = [
        start_facade(server, folder, RERANKER_API_KEYS_FILE=str(file), **talkative),
        start_facade(server, folder, RERANKER_API_KEYS_FILE=str(other), RERANKER_API_KEYS_EXEMPT="none"),
    ]
    try:
        opened, closed = map(wait_until_ready, started)
        yield Setting(opened, closed, file, search, index)
    finally:
        for facade in started:
            facade.stop()


@pytest.fixture
async def client(setting: Setting) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(setting.open.http) as session:
        yield session


def unauthorized(answer: Answer) -> dict[str, Any]:
    """The body of a 401, held to the envelope and to what HTTP asks of one."""
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    return refused(answer, 401)


async def test_each_of_several_keys_opens_the_door_and_the_ranking_is_that_of_a_server_without_keys(
    client: aiohttp.ClientSession, setting: Setting, server: Server
) -> None:
    async with aiohttp.ClientSession(server.http) as free:
        expected = ranked(await post(free, GOOD))
    for issued in (setting.search, setting.index):
        assert ranked(await post(client, GOOD, **issued.header)) == expected


async def test_without_a_key_or_with_a_wrong_one_nothing_is_ranked(client: aiohttp.ClientSession, setting: Setting) -> None:
    assert "Authorization: Bearer" in unauthorized(await post(client, GOOD))["message"]
    said = unauthorized(await post(client, GOOD, Authorization=f"Bearer {WRONG}"))["message"]
    assert "not known" in said
    assert WRONG not in said
    assert "not known" in unauthorized(await post(client, GOOD, Authorization=f"Bearer {setting.search.key[:-1]}"))["message"]
    # A client that has read the file has no key yet.
    digest = setting.search.line.partition("sha256:")[2]
    for stolen in (digest, f"sha256:{digest}", setting.search.line):
        unauthorized(await post(client, GOOD, Authorization=f"Bearer {stolen}"))


@pytest.mark.parametrize(
    "headers",
    [
        b"Authorization: %(key)s",
        b"Authorization: Basic %(key)s",
        b"Authorization: Bearer",
        b"Authorization: Bearer \xff\xfe\xc3\xa9",
        b"Authorization: Bearer %(key)s %(key)s",
        b"Authorization: Bearer %(key)s,",
        b"Authorization: Bearer %(key)s\r\nAuthorization: Bearer %(key)s",
        b"X-Auth-Token: %(key)s",
        b"Cookie: Authorization=Bearer %(key)s",
    ],
    ids=[
        "no scheme",
        "another scheme",
        "no key",
        "bytes that are no text",
        "twice in one",
        "a comma",
        "two headers",
        "elsewhere",
        "cookie",
    ],
)
async def test_a_known_key_in_a_malformed_header_is_none(setting: Setting, headers: bytes) -> None:
    status, head, body = await raw(setting.open, headers % {b"key": setting.search.key.encode()})
    assert status == 401
    assert b"WWW-Authenticate: Bearer" in head
    assert b'"object":"error"' in body
    assert setting.search.key.encode() not in head + body


async def raw(facade: Facade, headers: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer to a ranking with these headers, as they are."""
    reader, writer = await asyncio.open_connection("127.0.0.1", facade.port)
    sent = b"Host: here\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close"
    writer.write(b"POST /v1/ranking HTTP/1.1\r\n" + headers + b"\r\n" + sent + b"\r\n\r\n{}")
    head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), head, body


async def test_a_key_of_the_query_string_is_none(client: aiohttp.ClientSession, setting: Setting) -> None:
    unauthorized(await post(client, GOOD, f"/v1/ranking?api_key={setting.search.key}&authorization=Bearer%20{setting.search.key}"))


async def test_health_and_metrics_need_no_key_and_everything_else_does(client: aiohttp.ClientSession, setting: Setting) -> None:
    assert [(await get(client, path)).status for path in ALWAYS_FREE] == [200, 200, 200]
    for path in NEVER_FREE:
        unauthorized(await get(client, path))
        assert (await client.get(path, headers=setting.index.header)).status == (404 if path == "/nowhere" else 200)


async def test_where_the_setting_exempts_nothing_they_need_one_too(setting: Setting) -> None:
    async with aiohttp.ClientSession(setting.closed.http) as client:
        for path in ALWAYS_FREE:
            unauthorized(await get(client, path))
            assert (await client.get(path, headers=setting.search.header)).status == 200
        ranked(await post(client, GOOD, **setting.search.header))
    # For probes there is an address of its own.
    async with aiohttp.ClientSession(f"http://127.0.0.1:{setting.closed.health_port}") as probe:
        assert (await get(probe, READY)).status == 200


async def test_a_key_is_let_in_and_put_out_while_the_server_runs_and_no_other_notices(
    client: aiohttp.ClientSession, setting: Setting
) -> None:
    issued, before = issue("newcomer"), setting.file.read_text()
    others = asyncio.create_task(keeps_ranking(client, setting.search))
    unauthorized(await post(client, GOOD, **issued.header))
    setting.file.write_text(f"{before}{issued.line}\n")
    await eventually(lambda: answers(client, issued, 200), "the new key is known")
    # Another file under the name, as an editor or a mounted secret does it.
    new = setting.file.with_suffix(".new")
    new.write_text(before)
    new.replace(setting.file)
    await eventually(lambda: answers(client, issued, 401), "the key is revoked")
    assert "not known" in unauthorized(await post(client, GOOD, **issued.header))["message"]
    others.cancel()
    with pytest.raises(asyncio.CancelledError):
        await others


async def keeps_ranking(client: aiohttp.ClientSession, issued: Issued) -> None:
    """Until cancelled; fails at the first refusal."""
    while True:
        ranked(await post(client, GOOD, **issued.header))


async def answers(client: aiohttp.ClientSession, issued: Issued, status: int) -> bool:
    return (await post(client, GOOD, **issued.header)).status == status


async def test_a_file_that_was_spoilt_is_logged_without_its_text_and_the_keys_of_before_stay(
    client: aiohttp.ClientSession, setting: Setting
) -> None:
    before = setting.file.read_text()
    setting.file.write_text(f"{before}search {WRONG}\n")

    async def reported() -> bool:
        return "line 4 is not" in setting.open.output()

    await eventually(reported, "the log has the line")
    ranked(await post(client, GOOD, **setting.search.header))
    setting.file.write_text(before)


async def test_the_log_names_callers_and_neither_it_nor_the_metrics_ever_have_a_key(
    client: aiohttp.ClientSession, setting: Setting
) -> None:
    revoked, last = issue("revoked"), uuid.uuid4().hex
    for key in (revoked.key, WRONG):
        await post(client, GOOD, Authorization=f"Bearer {key}")
        await post(client, GOOD, Authorization=f"Basic {key}")
    ranked(await post(client, GOOD, **setting.search.header, **{"X-Request-Id": last}))

    async def reported() -> bool:
        return last in setting.open.output()

    await eventually(reported, "the log has the last request")
    metrics = (await get(client, "/v1/metrics")).text
    assert 'reranker_rejects_total{reason="unauthorized"}' in metrics
    log = setting.open.output()
    assert '"caller":"search"' in next(line for line in log.splitlines() if last in line)
    # Nor what a key could be found by.
    secrets = [part for issued in (setting.search, setting.index, revoked) for part in (issued.key, issued.line.partition(":")[2])]
    assert [secret for secret in (*secrets, WRONG) if secret in log + metrics] == []


@pytest.mark.parametrize("name", ["two words", ""])
def test_a_name_that_can_t_stand_in_the_file_gets_no_key(name: str) -> None:
    command = [sys.executable, "-m", "facade", "--new-api-key", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "choose another" in line


def test_a_start_with_a_file_that_is_no_list_of_keys_ends_with_one_line_that_does_not_repeat_it(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"{WRONG}\n")
    facade = start_facade(server, tmp_path, RERANKER_API_KEYS_FILE=str(file))
    assert facade.process.wait(300) == 2
    (line,) = facade.output().splitlines()
    assert line.startswith(f"facade: RERANKER_API_KEYS_FILE={file}: line 1 is not")
    assert WRONG not in line
