"""An app in this process, behind the connections that it has when it is served: aiohttp's own test server has others."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from aiohttp.test_utils import TestServer
from yarl import URL

from facade.config.settings import Settings
from facade.http.app import create_app
from facade.http.server import running
from facade.scoring.scorer import Scorer


class InProcess(TestServer):
    """An app with `settings`, by plain HTTP on a free port; `scorer` takes Triton's place."""

    def __init__(self, settings: Settings, scorer: Scorer | None = None) -> None:
        super().__init__(create_app(settings, scorer))
        self._settings = replace(settings, http_port=0, tls_cert=None, tls_key=None)
        self._stack = AsyncExitStack()

    async def start_server(self, *_: Any, **__: Any) -> None:
        if self._root is None:
            listener = await self._stack.enter_async_context(running(self.app, self._settings))
            self.host, self.port = listener.addresses[0]
            self._root = URL.build(scheme="http", host=self.host, port=self.port)

    async def close(self) -> None:
        await self._stack.aclose()
