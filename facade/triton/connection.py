"""The connection to one Triton, and a new one where it is dead: nothing comes over it, though Triton answers. Knows no tensors.

A machine or a network that vanishes without a reset leaves such a connection, and a call on it would wait until its deadline. gRPC's own
keepalive is off: by gRPC's documentation, a server that is not set up for it drops a connection with all calls at the third ping that it
gets between two answers, so within a long batch. Instead, a probe that stays unanswered is repeated over a connection of its own. After
15 s of lost packets (two network namespaces), calls were answered 2.5 s after the network's return, and 12.2 s without this.
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
# A call, which is given the client to make it with; it keeps its deadline by itself.
Ask = Callable[[InferenceServerClient], Awaitable[Result]]

# A probe is repeated after so long. That costs a busy Triton one more token, and is below the silence that makes a Triton not ready.
_SILENT_S = 0.7
# Between two new connections, where the first comes to nothing.
_AGAIN_S = 0.2
# How much later than over the new connection, at least, an answer may come over the old one, which was asked before.
_LATE_S = 0.5


class Connection:
    """What carries the calls to the Triton at `target` (host:port); an async context manager."""

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
        self._dead: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # done once calls have to leave this client
        self._calls: set[asyncio.Future[Any]] = set()
        self._heard = time.monotonic()

    async def call(self, ask: Ask[Result]) -> Result:
        """The result of `ask`; asked again over a new connection where the one that it used is found dead."""
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
                    self._heard = time.monotonic()
                    return result
            finally:
                answer.cancel()

    async def probe(self, ask: Ask[Result]) -> Result:
        """The result of `ask`, over the connection that calls use; where that is silent and a new one is not, over the new one."""
        began = time.monotonic()
        first = asyncio.ensure_future(self.call(ask))  # which survives that another probe replaces the connection
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
        """What Triton answered over a new connection, which takes the old one's place if nothing came over that since `began`.

        None where the first answer came all the same, or the new connection leads nowhere.
        """
        asked = time.monotonic()
        client = connect(self._target, self._access)
        second = asyncio.ensure_future(ask(client))
        try:
            await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
            if not first.done() and _from_triton(second):
                # A Triton with much to do may answer the second before the first, but not by more than it takes for either.
                await asyncio.wait({first}, timeout=max(_LATE_S, time.monotonic() - asked))
            if not _from_triton(second) or first.done():
                return None
            if self._heard < began:
                LOG.warning("%s answers over a new connection alone; the old one is given up, and its calls are made again", self._target)
                old, dead, calls = self._client, self._dead, {first, *self._calls}
                self._open(client)
                client = old
                dead.set_result(None)
                first.cancel()
                await asyncio.wait(calls)  # each leaves by itself; those that closing breaks off would look like calls that failed
            return second
        finally:
            second.cancel()
            await client.close()


def _from_triton(answer: asyncio.Future[Result]) -> bool:
    """Whether it came from a Triton: a result, or a refusal that only a Triton gives."""
    if not answer.done() or answer.cancelled():
        return False
    error = answer.exception()
    return error is None or isinstance(error, OtherBundleError | OverloadedError | ScoringError)
