"""The HTTP server of this process: opens its addresses, serves until a signal comes, and shuts down gracefully. Knows no endpoint."""

import asyncio
import logging
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web
from yarl import URL

from facade import background
from facade.config.settings import Settings
from facade.config.watched_files import Watched
from facade.http.app import DRAINING, create_app, create_health_app
from facade.http.listener import Listener, Protocol
from facade.http.malformed import Connection
from facade.http.tls import Certificates
from facade.unforeseen import log_from_loop

LOG = logging.getLogger(__name__)

# Longer than the idle timeouts of common proxies (60 s), so that it is the proxy that closes an idle connection.
KEEPALIVE_S = 75.0
# Part of the drain limit that is kept for the last answers to leave and for connections to close.
_END_S = 1.0
# A request may be on its way on an open connection: for this time it is still refused in words, with Retry-After.
_LINGER_S = 0.25
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; a second one ends the process at once. Raises SettingsError or BundleError where a start fails."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_from_loop)
    for number in _SIGNALS:
        loop.add_signal_handler(number, _begin_stop, loop, stop)
    async with running(create_app(settings), settings):
        await stop.wait()


def _begin_stop(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    for number in _SIGNALS:
        loop.add_signal_handler(number, os._exit, 128 + number)
    stop.set()


@asynccontextmanager
async def running(app: web.Application, settings: Settings) -> AsyncIterator[Listener]:
    """Serve `app` for as long as the block runs, and then until its requests are answered, within the drain limit.

    Yields the listener of the API. Raises SettingsError where an address or a certificate can't be used.
    """
    certificates = Certificates.of(settings)
    watched = Watched(*certificates.files) if certificates else None
    context = certificates.context() if certificates else None
    async with AsyncExitStack() as stack:
        if settings.health_bind:
            health = _serving(create_health_app(app), settings.health_bind, "RERANKER_HEALTH_BIND_ADDR", settings, None)
            await stack.enter_async_context(health)
        api = await stack.enter_async_context(_serving(app, settings.address, "NIM_HTTP_API_PORT", settings, context))
        if certificates and watched:
            await stack.enter_async_context(background.running(watched.follow(lambda: _renew(api, certificates))))
        try:
            yield api
        finally:
            await app[DRAINING].drain(max(settings.drain_s - _END_S, settings.drain_s / 2))


@asynccontextmanager
async def _serving(
    app: web.Application, address: tuple[str, int], variable: str, settings: Settings, context: ssl.SSLContext | None
) -> AsyncIterator[Listener]:
    """Serve an app on one address; at the end, connections that are open or in the backlog get their answers."""
    # A client that disconnects takes its work with it.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=_LINGER_S)
    async with AsyncExitStack() as stack:
        listener = Listener(*address, variable)
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(_linger, runner)
        stack.push_async_callback(listener.close)
        await runner.setup()
        listener.context = context
        listener.accept(connection_factory(runner, settings), settings.body_timeout_s)
        for host, port in listener.addresses:
            LOG.info("listening on %s", URL.build(scheme="https" if context else "http", host=host, port=port))
        yield listener


async def _renew(listener: Listener, certificates: Certificates) -> None:
    listener.context = certificates.context()


def connection_factory(runner: web.AppRunner, settings: Settings) -> Protocol:
    """The maker of each connection's protocol, for a runner that has been set up."""
    if runner.server is None:
        raise RuntimeError("the runner is set up before its server is used")
    return partial(
        Connection,
        runner.server,
        loop=asyncio.get_running_loop(),
        access_log=None,  # facade/http/envelope.py writes one, without user text
        keepalive_timeout=KEEPALIVE_S,
        head_timeout_s=settings.body_timeout_s,
        head_limit_bytes=settings.head_limit_bytes,
    )


async def _linger(runner: web.AppRunner) -> None:
    until = time.monotonic() + _LINGER_S
    while runner.server and runner.server.connections and time.monotonic() < until:  # noqa: ASYNC110 (aiohttp has no event for the end of a connection)
        await asyncio.sleep(0.01)
