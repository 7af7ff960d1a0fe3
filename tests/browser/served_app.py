"""The facade in a thread of the tests' process, for a browser that waits in the tests' own: with settings and a scorer of the test's."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from facade.config.settings import Settings
from facade.http.app import create_app
from facade.http.server import running
from facade.scoring.scorer import Scorer

_LIMIT_S = 60.0


@dataclass(frozen=True)
class ServedApp:
    """A running app: its address, and its thread's loop."""

    http: str
    loop: asyncio.AbstractEventLoop

    def do(self, act: Callable[[], Any]) -> None:
        """Call `act` in the loop, and wait for it."""
        done = threading.Event()

        def call() -> None:
            act()
            done.set()

        self.loop.call_soon_threadsafe(call)
        assert done.wait(_LIMIT_S)


@contextmanager
def served(settings: Settings, scorer: Scorer, port: int = 0) -> Iterator[ServedApp]:
    """Serve the app while the block runs."""
    started = threading.Event()
    apps: list[ServedApp] = []
    stop = asyncio.Event()

    async def serve() -> None:
        own = replace(settings, http_port=port, drain_s=1.0)
        async with running(create_app(own, scorer), own) as listener:
            host, bound = listener.addresses[0]
            apps.append(ServedApp(f"http://{host}:{bound}", asyncio.get_running_loop()))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(_LIMIT_S)
        yield apps[0]
    finally:
        apps[0].loop.call_soon_threadsafe(stop.set)
        thread.join(_LIMIT_S)
