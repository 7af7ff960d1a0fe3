"""Whether the facade answers at all. Any answer counts, a refusal among them: whether it is ready is the model's matter."""

import aiohttp

from facade.errors import DeadlineExceededError, NotReadyError

# The loop of a facade that lives is never busy for so long.
_TIMEOUT_S = 30.0


async def facade_answers(url: str, timeout_s: float) -> None:
    """Ask once. Raises NotReadyError where nothing listens, DeadlineExceededError where nothing is heard."""
    limit = aiohttp.ClientTimeout(min(timeout_s, _TIMEOUT_S))
    connector = aiohttp.TCPConnector(ssl=False, force_close=True)  # on loopback, whose certificate it is proves nothing
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=limit) as session, session.get(url):
            return
    except aiohttp.ClientConnectorError as error:
        # Any other fault of connecting, as a handshake that ends because we show no certificate, is an answer.
        if isinstance(error.os_error, ConnectionRefusedError):
            raise NotReadyError("nothing listens on its port") from None
    except TimeoutError:
        raise DeadlineExceededError from None
    except aiohttp.ClientError:
        return  # the connection was taken and closed again
