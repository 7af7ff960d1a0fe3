"""python -m pytest tests/unit/facade/http/test_server.py

The server in this process: its two addresses, and the order in which it ends.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web_server, web_urldispatcher

from facade.config.settings import Settings
from facade.errors import SettingsError
from facade.http.app import create_app
from facade.http.server import running
from tests.conftest import free_ports
from tests.contract.calls import GOOD, READY, eventually, get, post, ranked, refused
from tests.contract.scorers import Fixed, Held, held
from tests.slowness import slowness


@asynccontextmanager
async def client(port: int) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


def two_addresses(**further: Any) -> tuple[int, int, Settings]:
    port, health_port = free_ports(2)
    return port, health_port, Settings(http_port=port, health_bind=("127.0.0.1", health_port), **further)


async def test_the_health_address_tells_of_health_and_metrics_and_nothing_else() -> None:
    port, health_port, settings = two_addresses()
    async with running(create_app(settings, Fixed()), settings), client(port) as api, client(health_port) as health:

        async def ready() -> bool:
            return (await get(health, READY)).status == 200

        await eventually(ready, "ready")
        assert (await get(health, "/v1/health/live")).status == 200
        ranked(await post(api, GOOD))
        assert 'reranker_requests_total{route="ranking",status="200"} 1.0' in (await get(health, "/v1/metrics")).text
        refused(await post(health, GOOD), 404)
        for path in ("/v1/models", "/docs", "/openapi.json", "/v1/metadata", "/"):
            refused(await get(health, path), 404)


async def test_the_health_address_needs_no_key(tmp_path: Any) -> None:
    file = tmp_path / "keys"
    file.write_text("")
    port, health_port, settings = two_addresses(api_keys_file=file, api_keys_exempt=())
    async with running(create_app(settings, Fixed()), settings), client(port) as api, client(health_port) as health:
        refused(await get(api, "/v1/health/live"), 401)
        assert (await get(health, "/v1/health/live")).status == 200


@pytest.mark.parametrize("taken", [0, 1])
async def test_an_address_in_use_is_logged_with_its_variable_and_the_other_one_is_free_again(taken: int) -> None:
    port, health_port, settings = two_addresses()
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", (port, health_port)[taken])
    async with other:
        with pytest.raises(SettingsError, match=("NIM_HTTP_API_PORT", "RERANKER_HEALTH_BIND_ADDR")[taken]):
            async with running(create_app(settings, Fixed()), settings):
                pytest.fail("it started")
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", (health_port, port)[taken]):
        pass


async def test_at_the_end_readiness_is_down_first_work_is_finished_and_then_listening_ends() -> None:
    port, health_port, settings = two_addresses()
    scorer = Held()
    async with client(port) as api, client(health_port) as health:
        server = running(create_app(settings, scorer), settings)
        await server.__aenter__()
        under_way = await held(api, scorer)
        end = asyncio.create_task(server.__aexit__(None, None, None))

        async def down() -> bool:
            return "shutting down" in (await get(health, READY)).text

        await eventually(down, "not ready any more")
        refused(await post(api, GOOD), 503)
        assert not end.done()
        scorer.release.set()
        ranked(await under_way)
        await asyncio.wait_for(end, 60)
        for session in (api, health):
            with pytest.raises(aiohttp.ClientConnectionError):
                await get(session, READY)


async def test_a_request_that_never_ends_keeps_the_end_within_the_limit() -> None:
    (port,) = free_ports(1)
    settings = Settings(http_port=port, drain_s=2.0)
    limit_s = settings.drain_s * slowness()
    scorer = Held()
    loop = asyncio.get_running_loop()
    async with client(port) as api:
        async with running(create_app(settings, scorer), settings):
            under_way = await held(api, scorer)
            began = loop.time()
        assert loop.time() - began < limit_s
        refused(await under_way, 503)


async def test_a_client_that_keeps_a_connection_and_asks_at_the_last_moment_is_answered() -> None:
    (port,) = free_ports(1)
    settings = Settings(http_port=port)
    app = create_app(settings, Fixed())
    server = running(app, settings)
    await server.__aenter__()
    async with client(port) as api:
        assert (await get(api, "/v1/health/live")).status == 200
        end = asyncio.create_task(server.__aexit__(None, None, None))

        async def refuses_connections() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return True
            writer.close()
            return False

        await eventually(refuses_connections, "listening has ended")
        refused(await post(api, GOOD), 503)  # on the connection that it has kept
        await asyncio.wait_for(end, 60)


async def test_an_idle_server_ends_at_once() -> None:
    (port,) = free_ports(1)
    settings = Settings(http_port=port)
    loop = asyncio.get_running_loop()
    async with client(port) as api:
        async with running(create_app(settings, Fixed()), settings) as listener:
            assert listener.addresses == [("127.0.0.1", port)]
            assert (await get(api, "/v1/health/live")).status == 200
            began = loop.time()
        assert loop.time() - began < settings.drain_s / 2


async def test_making_and_serving_an_app_leaves_aiohttp_as_it_is() -> None:
    before = vars(web_server)["RequestHandler"], web_urldispatcher._default_expect_handler
    _, _, settings = two_addresses()
    async with running(create_app(settings, Fixed()), settings):
        assert (vars(web_server)["RequestHandler"], web_urldispatcher._default_expect_handler) == before
