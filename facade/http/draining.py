"""The graceful shutdown: rankings that came before it are answered, later ones are refused.

Readiness goes down first, so that load balancers look elsewhere. Knows requests, not sockets: `listener.py` ends listening afterwards.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web

from facade.errors import NotReadyError
from facade.http.route import Handler, route_of
from facade.triton.readiness import Readiness

LOG = logging.getLogger(__name__)

# In which a request that was cut off is answered.
_LAST_WORDS_S = 0.5


class Draining:
    """Keeps the requests that are under way, and lets no ranking in once `drain` was called."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._under_way: set[asyncio.Task[Any]] = set()
        self._cut = False

    def install(self, app: web.Application) -> None:
        """Watch all requests of the app."""
        app.middlewares.append(self._middleware)
        app.on_response_prepare.append(self._last_on_its_connection)

    async def drain(self, limit_s: float) -> None:
        """Refuse rankings from now on, and return once those before are answered; after `limit_s` seconds they are cut off."""
        self._readiness.draining = True
        under_way = set(self._under_way)
        LOG.info("not ready: shutting down, with %d requests under way", len(under_way))
        if not under_way:
            return
        _, late = await asyncio.wait(under_way, timeout=limit_s)
        if late:
            LOG.warning("cutting off %d requests that are not done after %.1f s (RERANKER_DRAIN_S)", len(late), limit_s)
            self._cut = True
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_LAST_WORDS_S)

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # What needs no model is answered until the end: above all, that this server is not ready.
        if self._readiness.draining and route_of(request).shapes:
            raise NotReadyError("shutting down: retry, and another server may answer")
        task = self._known_task()
        try:
            return await handler(request)
        except asyncio.CancelledError:
            if not self._cut:
                raise
            task.uncancel()
            raise NotReadyError("shutting down, and there was no time left for this request: retry") from None

    def _known_task(self) -> "asyncio.Task[Any]":
        """The request's task, which ends when its answer is written, and is waited for at the end."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is always a task")
        if task not in self._under_way:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return task

    async def _last_on_its_connection(self, _: web.Request, response: web.StreamResponse) -> None:
        if self._readiness.draining:
            response.force_close()
            response.headers["Connection"] = "close"
