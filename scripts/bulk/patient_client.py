"""HTTP requests to one server that are retried until it can answer. Knows which statuses mean a retry, not what is sent."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from scripts.bulk.errors import BrokenOffError, BulkError

TIMEOUT_S = 300.0  # above a server's own deadline, which it answers with a status

_WAIT_S = 1.0  # between two tries without a Retry-After
# States of the server, not faults of the request.
_RETRIED = frozenset({408, 425, 429, 502, 503, 504})


@dataclass(frozen=True)
class Reply:
    """An answer to a request."""

    status: int
    content: bytes
    headers: Mapping[str, str]

    @property
    def message(self) -> str:
        """The message of the error envelope."""
        try:
            return str(orjson.loads(self.content)["message"])
        except (KeyError, TypeError, ValueError):
            return f"the server refused it with status {self.status}"


class PatientClient:
    """A server at `url`. Has to be created and used in one event loop."""

    def __init__(self, url: str, headers: Mapping[str, str], patience_s: float) -> None:
        self._url = url
        self._patience_s = patience_s
        self._session = aiohttp.ClientSession(
            headers=headers, timeout=aiohttp.ClientTimeout(TIMEOUT_S), connector=aiohttp.TCPConnector(limit=0)
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def request(self, method: str, path: str, body: bytes | None = None, refusals: Collection[int] = ()) -> Reply:
        """The answer with status 200 or one of `refusals`; until then the request is repeated.

        Raises BrokenOffError after `patience_s` seconds without such an answer, or at once for a status that no retry changes.
        """
        give_up = time.monotonic() + self._patience_s
        while True:
            try:
                async with self._session.request(method, self._url + path, data=body) as answer:
                    reply = Reply(answer.status, await answer.read(), answer.headers)
                if reply.status == 200 or reply.status in refusals:
                    return reply
                state, wait_s = f"status {reply.status}", _retry_after(reply.headers)
                if reply.status not in _RETRIED:
                    raise BrokenOffError(f"{self._url}{path} answered with {state}: {reply.message}")
            except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
                raise BulkError(f"{self._url} is not the address of a server: write it as http://host:8000") from None
            except (aiohttp.ClientError, TimeoutError) as error:
                state, wait_s = type(error).__name__, _WAIT_S
            if time.monotonic() + wait_s > give_up:
                raise BrokenOffError(f"{self._url} could not answer for {self._patience_s:.0f} s ({state}): check the server") from None
            # Requests refused together should not return together.
            await asyncio.sleep(wait_s * random.uniform(1.0, 1.5))  # noqa: S311 (no secret)


def _retry_after(headers: Any) -> float:
    try:
        return max(float(headers.get("Retry-After", _WAIT_S)), 0.0)
    except ValueError:  # a date
        return _WAIT_S
