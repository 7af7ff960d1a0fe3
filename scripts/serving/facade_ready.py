"""Waits until the facade is ready, as its own health endpoint says. Knows addresses, and nothing of processes."""

import asyncio

import aiohttp

from facade.config.settings import Settings
from facade.errors import DeadlineExceededError, NotReadyError, RerankerError
from scripts.serving.hang_watch import facade_answers
from scripts.serving.health import address
from scripts.serving.supervisor import Attempts

_POLL_S = 0.1
_TIMEOUT_S = 2.0
# 401: where health is not exempt from keys, it asks for one.
_READY = {200, 401}


async def until_ready(settings: Settings, attempts: Attempts) -> None:
    """Return once the facade says that it is ready; runs until cancelled where it never does."""
    url = address(settings)
    # Without a client certificate it can't be asked whether it is ready, but any answer shows that it is there; and Triton ranks already.
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
    """Raises NotReadyError or DeadlineExceededError where it isn't."""
    connector = aiohttp.TCPConnector(ssl=False)  # on loopback, whose certificate it is proves nothing
    limit = aiohttp.ClientTimeout(_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=limit) as session, session.get(url) as answer:
            if answer.status not in _READY:
                raise NotReadyError(f"status {answer.status}")
    except aiohttp.ClientError as error:
        raise NotReadyError(f"no answer ({type(error).__name__})") from None
    except TimeoutError:
        raise DeadlineExceededError(f"no answer within {_TIMEOUT_S:g} s") from None
