"""What is no whole HTTP request gets the envelope, too: one that aiohttp's parser refuses, before any middleware sees it, and one whose
head does not come to its end.

aiohttp's own answer repeats the bytes that it could not parse, and its log has them with a traceback; ours do neither. It waits for a head
as long as an idle connection is kept. It has no hook for either, so its handler class is replaced by a subclass, here and nowhere else.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web, web_server
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from facade.browsers import ALWAYS
from facade.envelope import REQUEST_ID, error_response, json_response, new_request_id
from facade.errors import RequestTimeoutError
from facade.schema import error_body

LOG = logging.getLogger(__name__)


class _RequestHandler(web.RequestHandler):
    """One connection. `head_timeout_s`: seconds from its opening, later from a head's first byte, until the head has to be there."""

    __slots__ = ("_head_begun", "_head_late", "_head_timeout_s")

    def __init__(self, manager: web.Server, *, head_timeout_s: float | None = None, **arguments: Any) -> None:
        super().__init__(manager, **arguments)
        self._head_timeout_s = head_timeout_s
        self._head_late: asyncio.TimerHandle | None = None
        self._head_begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nobody may hold a connection without asking anything."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """There is nothing left to wait for."""
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, of a body, or of both."""
        requests = self._request_count
        idle = self._waiter is not None and not self._waiter.done()
        if data and idle and self._head_late is None:
            self._expect_head()
        super().data_received(data)
        if self._request_count > requests:
            self._forget_head()
        elif self._head_late is not None:
            self._head_begun = True

    def _expect_head(self) -> None:
        if self._head_timeout_s is not None:
            self._head_late = self._loop.call_later(self._head_timeout_s, self._cut_off)

    def _forget_head(self) -> None:
        self._head_begun = False
        if self._head_late is not None:
            self._head_late.cancel()
            self._head_late = None

    def _cut_off(self) -> None:
        """Answers a head that has begun; who has sent nothing expects no answer."""
        begun = self._head_begun
        self._forget_head()
        if self._waiter is None or self._waiter.done():
            return  # something else is under way, or the end already
        if not begun:
            self.force_close()
            return
        late = RequestTimeoutError("the request's head did not come in time; send it at once, or raise RERANKER_BODY_TIMEOUT_S")
        # As the parser's own refusals are handed on.
        self._messages.append((_ErrInfo(status=late.status, exc=late, message=late.message), EMPTY_PAYLOAD))
        self._waiter.set_result(None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 (aiohttp's signature; it has parts of the request)
    ) -> web.StreamResponse:
        """The answer to a request that is none; the connection is closed after it."""
        request_id = new_request_id()
        LOG.info("refused a request that is no valid HTTP: %s", type(exc).__name__, extra={"request_id": request_id})
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had already begun")
        response = error_response(exc) if isinstance(exc, RequestTimeoutError) else _no_http(status)
        response.headers.update(ALWAYS)
        response.headers[REQUEST_ID] = request_id
        response.force_close()
        return response


def _no_http(status: int) -> web.Response:
    told = "this is no valid HTTP/1.1 request, or its body is in an encoding that is not supported; send plain JSON"
    return json_response(error_body(told, {}, "invalid_request_error"), status)


def install() -> None:
    """Use the handler for all servers of this process from now on; calling it again changes nothing."""
    web_server.RequestHandler = _RequestHandler  # type: ignore[attr-defined]
