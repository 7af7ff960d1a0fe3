"""The connection to one Triton, replaced where it is dead: no answer comes over it, though Triton answers. Knows no tensors.

A machine or a network that vanishes without a reset leaves a dead connection, and a call on it would wait until its deadline. gRPC's
keepalive is off: by its documentation, a server that is not set up for it drops a connection with all calls at the third ping between two
answers, so within a long batch. Instead, a probe without an answer is repeated over a connection of its own. After 15 s of lost packets
(two network namespaces), calls were answered 2.5 s after the network's return; without this, after 12.2 s.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from tritonclient.grpc.aio import InferenceServerClient

from facade.errors import OtherBundleError, OverloadedError, ScoringError
from facade.triton.channel import Access, connect

LOG = logging.getLogger(__name__)

Result = TypeVar("Result")
# Makes a call with the client that it is given, and keeps the call's deadline.
Ask = Callable[[InferenceServerClient], Awaitable[Result]]

# After which a probe is repeated. That costs a busy Triton one more token, and is below the silence that makes a Triton not ready.
_SILENT_S = 0.7
# Between two new connections, where the first one brings no answer.
_AGAIN_S = 0.2
# The least time that the old connection has left to answer once the new one has.
_LATE_S = 0.5


class Connection:
    """The connection for calls to the Triton at `target` (host:port); an async context manager."""

    def __init__(self, target: str, access: Access) -> None:
        self._target = target
        self._access = access

    async def __aenter__(self) -> Self:
        self._open(connect(self._target, self._access))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.close()

    def _open(self, client: InferenceServerClient) -> None:
        self._client = client
        self._dead: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # done once this client is given up
        self._calls: set[asyncio.Future[Any]] = set()
        self._last_answer = time.monotonic()

    async def call(self, ask: Ask[Result]) -> Result:
        """The result of `ask`, made again over a new connection where its own turns out to be dead."""
        while True:
            client, dead, calls = self._client, self._dead, self._calls
            answer = asyncio.ensure_future(ask(client))
            calls.add(answer)
            answer.add_done_callback(calls.discard)
            futures: set[asyncio.Future[Any]] = {answer, dead}
            try:
                await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
                if not dead.done() or _from_triton(answer):
                    result = answer.result()
                    self._last_answer = time.monotonic()
                    return result
            finally:
                answer.cancel()

    async def probe(self, ask: Ask[Result]) -> Result:
        """The result of `ask` over the calls' connection, or over a new one where only that brings an answer."""
        began = time.monotonic()
        first = asyncio.ensure_future(self.call(ask))  # `call`, since another probe may replace the connection
        try:
            await asyncio.wait({first}, timeout=_SILENT_S)
            while not first.done():
                if second := await self._second(ask, first, began):
                    return second.result()
                await asyncio.wait({first}, timeout=_AGAIN_S)
            return first.result()
        finally:
            first.cancel()

    async def _second(self, ask: Ask[Result], first: asyncio.Future[Result], began: float) -> asyncio.Future[Result] | None:
        """Triton's answer over a new connection, which replaces the old one where that has brought no answer since `began`.

        None where the first answer came after all, or the new connection brings none.
        """
        asked = time.monotonic()
        client = connect(self._target, self._access)
        second = asyncio.ensure_future(ask(client))
        try:
            await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
            if not first.done() and _from_triton(second):
                # A busy Triton may answer the second before the first, but not by more than it takes for either.
                await asyncio.wait({first}, timeout=max(_LATE_S, time.monotonic() - asked))
            if not _from_triton(second) or first.done():
                return None
            if self._last_answer < began:
                LOG.warning("%s answers over a new connection only; the old one is closed, and its calls are made again", self._target)
                old, dead, calls = self._client, self._dead, {first, *self._calls}
                self._open(client)
                client = old
                dead.set_result(None)
                first.cancel()
                await asyncio.wait(calls)  # each ends by itself; one that closing ended would look like a failed call
            return second
        finally:
            second.cancel()
            await client.close()


def _from_triton(answer: asyncio.Future[Result]) -> bool:
    """Whether the answer is Triton's: a result, or a refusal that only a Triton gives."""
    if not answer.done() or answer.cancelled():
        return False
    error = answer.exception()
    return error is None or isinstance(error, OtherBundleError | OverloadedError | ScoringError)
