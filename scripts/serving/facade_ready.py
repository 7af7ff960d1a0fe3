"""Waits until the facade's health endpoint reports ready. Knows addresses, not processes."""

import asyncio

import aiohttp

from facade.config.settings import Settings
from facade.errors import DeadlineExceededError, NotReadyError, RerankerError
from scripts.serving.hang_watch import facade_answers
from scripts.serving.health import address
from scripts.serving.supervisor import Attempts

_POLL_S = 0.1
_TIMEOUT_S = 2.0
# 401: health is not exempt from API keys.
_READY = {200, 401}


async def until_ready(settings: Settings, attempts: Attempts) -> None:
    """Return once the facade reports ready; runs until cancelled otherwise."""
    url = address(settings)
    # Without a client certificate there is no health answer, but any answer shows that the facade runs, and Triton has been tested before.
    closed = settings.tls == "MTLS" and not settings.health_bind
    while True:
        try:
            await (facade_answers(url, _TIMEOUT_S) if closed else _require_ready(url))
        except RerankerError as error:
            attempts.failed(error)
            await asyncio.sleep(_POLL_S)
        else:
            return


async def _require_ready(url: str) -> None:
    """Raises NotReadyError or DeadlineExceededError if it is not ready."""
    connector = aiohttp.TCPConnector(ssl=False)  # on loopback a certificate proves nothing
    limit = aiohttp.ClientTimeout(_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=limit) as session, session.get(url) as answer:
            if answer.status not in _READY:
                raise NotReadyError(f"status {answer.status}")
    except aiohttp.ClientError as error:
        raise NotReadyError(f"no answer ({type(error).__name__})") from None
    except TimeoutError:
        raise DeadlineExceededError(f"no answer within {_TIMEOUT_S:g} s") from None
