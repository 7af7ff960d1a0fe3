"""python -m pytest tests/browser/test_prefix.py

The page below a prefix that a proxy adds: every address it asks is below it, too.
"""

import asyncio
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from facade.config.settings import Settings
from tests.browser.conftest import Visit
from tests.browser.served_app import served
from tests.contract.scorers import Fixed

PREFIX = "/team/rerank/"
_LIMIT_S = 60.0


async def _proxy(target: str, started: threading.Event, addresses: list[str], stop: asyncio.Event) -> None:
    """Pass requests below PREFIX on without it, as a reverse proxy does."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.Response:
            kept = {name: value for name, value in request.headers.items() if name not in {"Host", "Content-Length"}}
            url = f"{target}/{request.match_info['rest']}"
            async with session.request(request.method, url, headers=kept, data=await request.read()) as answer:
                dropped = {"Content-Length", "Transfer-Encoding", "Date", "Server"}
                headers = {name: value for name, value in answer.headers.items() if name not in dropped}
                return web.Response(status=answer.status, body=await answer.read(), headers=headers)

        app = web.Application()
        app.router.add_route("*", f"{PREFIX}{{rest:.*}}", forward)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        addresses.append(f"http://{host}:{port}{PREFIX}")
        started.set()
        await stop.wait()
        await runner.cleanup()


@pytest.fixture
def proxied() -> Iterator[str]:
    started, addresses, stop = threading.Event(), list[str](), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run(target: str) -> None:
        loops.append(asyncio.get_running_loop())
        await _proxy(target, started, addresses, stop)

    with served(Settings(), Fixed()) as app:
        thread = threading.Thread(target=lambda: asyncio.run(run(app.http)))
        thread.start()
        assert started.wait(_LIMIT_S)
        yield addresses[0]
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(_LIMIT_S)


def test_the_page_works_below_a_prefix(visit: Visit, proxied: str) -> None:
    page = visit(proxied)
    page.page.locator("#card-model dd").first.wait_for()
    page.settled()
    assert page.rows().count() == 6
    assert all(urlsplit(url).path.startswith(PREFIX) for url in page.asked)
    assert f"{proxied}v1/ranking" in page.page.locator("#code").inner_text()
