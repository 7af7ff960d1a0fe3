"""A connection that answers bytes which are no whole HTTP request: bytes that aiohttp's parser refuses before any middleware runs, a head
that is too large or does not end, and a body that breaks off. Knows no endpoint.

aiohttp's own answer repeats the bytes that it could not parse, and its log has them with a traceback; ours do neither. aiohttp waits for a
head as long as an idle connection is kept, and for the rest of a body that broke off. It has no hook for any of this, so this is a subclass
of its handler that uses names which are not public: pyproject.toml keeps aiohttp below the next version.
"""

import asyncio
import logging
from itertools import chain
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.hdrs import EXPECT
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from facade.errors import HeadTooLargeError, PathTooLongError, RequestTimeoutError
from facade.http import expectation
from facade.http.envelope import new_request_id
from facade.http.parser_refusal import head_error, head_too_large, refusal
from facade.unforeseen import in_a_line

LOG = logging.getLogger(__name__)

# The rest of a head that is too large is still received: a connection that is closed before is reset, and its answer lost.
_LINGER_S = 2.0
# Errors that a client's bytes, or their end, cause by themselves.
_FROM_OUTSIDE = (web.RequestPayloadError, HttpProcessingError, ConnectionError)


class Connection(web.RequestHandler):
    """One connection to `manager`, with aiohttp's further `arguments`. `head_limit_bytes`: of the head of one request.

    `head_timeout_s`: seconds from the connection's opening, later from a head's first byte, until the head has to be there.
    """

    __slots__ = ("_body", "_head_begun", "_head_bytes", "_head_late", "_head_limit_bytes", "_head_timeout_s", "_over")

    def __init__(
        self,
        manager: web.Server,
        *,
        head_timeout_s: float,
        head_limit_bytes: int,
        **arguments: Any,
    ) -> None:
        # A field may be a byte longer than the path: the limit that the parser names then says which of them it was.
        limits: dict[str, Any] = {"max_line_size": head_limit_bytes, "max_field_size": head_limit_bytes + 1}
        super().__init__(manager, auto_decompress=False, **limits, **arguments)
        self._head_timeout_s = head_timeout_s
        self._head_limit_bytes = head_limit_bytes
        self._head_late: asyncio.TimerHandle | None = None
        self._head_begun = False
        self._head_bytes = 0  # of a head whose end has not come
        self._body: StreamReader = EMPTY_PAYLOAD  # of the latest request
        self._over = False  # further bytes are dropped

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection: its first head has to come in time."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The end of the connection."""
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a head, of a body, or of both."""
        if self._over:
            return
        requests = self._request_count
        within_head = self._body.is_eof()
        idle = self._waiter is not None and not self._waiter.done()
        try:
            super().data_received(data)
        except Exception as error:  # noqa: BLE001 (a fault of the parser, which only these bytes can have caused)
            self._fail(error)
            return
        if new := self._request_count - requests:
            self._forget_head()
            self._check(new)
        else:
            if data and idle and self._head_late is None:
                self._expect_head()
            self._head_begun = self._head_late is not None
            self._count_head(len(data) if within_head else 0)

    def _check(self, new: int) -> None:
        """Go through the `new` latest messages: requests whose heads are complete, and at their end perhaps a refusal of the parser."""
        self._head_bytes = 0
        newest = self._messages[-1][0]
        if isinstance(newest, _ErrInfo):
            self._messages.pop()
            self._fail(newest.exc)
            return
        for place in range(-new, 0):
            message, body = self._messages[place]
            if _size(message) > self._head_limit_bytes:
                self._messages[place] = (_refused(head_too_large(self._head_limit_bytes)), body)
            elif not isinstance(message, _ErrInfo) and EXPECT in message.headers:
                self._messages[place] = (expectation.deferred(message), body)
        self._body = self._messages[-1][1]

    def _count_head(self, received: int) -> None:
        """Add bytes of a head whose end has not come."""
        self._head_bytes += received
        if self._head_bytes > self._head_limit_bytes:
            self._fail(head_too_large(self._head_limit_bytes))

    def _fail(self, error: BaseException) -> None:
        """End the body that is being read, or refuse the next request: nothing on this connection can be read any more."""
        self._over = True
        if self._body.is_eof():
            self._refuse(head_error(error, self._head_limit_bytes) or error)
            return
        self._body.set_exception(web.RequestPayloadError("the body broke off"))
        self._body.feed_eof()
        self.close()

    def _refuse(self, error: BaseException) -> None:
        """Hand a refusal on as the parser does its own."""
        rest: StreamReader = EMPTY_PAYLOAD
        if isinstance(error, HeadTooLargeError | PathTooLongError):
            rest = StreamReader(self, 1, loop=self._loop)  # its end never comes, and aiohttp waits a while for it
            self._lingering_time = _LINGER_S
        self._messages.append((_refused(error), rest))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _expect_head(self) -> None:
        self._head_late = self._loop.call_later(self._head_timeout_s, self._cut_off)

    def _forget_head(self) -> None:
        self._head_begun = False
        if self._head_late is not None:
            self._head_late.cancel()
            self._head_late = None

    def _cut_off(self) -> None:
        """Answer a head that has begun; a client that has sent nothing expects no answer."""
        begun = self._head_begun
        self._forget_head()
        if self._waiter is None or self._waiter.done():
            return  # a request is being answered, or the connection is closing
        if not begun:
            self.force_close()
            return
        late = RequestTimeoutError("the request's head did not come in time; send it at once, or raise RERANKER_BODY_TIMEOUT_S")
        self._refuse(late)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 (aiohttp's signature; it has parts of the request)
    ) -> web.StreamResponse:
        """Answer bytes that are no request; the connection is closed afterwards."""
        request_id = new_request_id()
        error = head_error(exc, self._head_limit_bytes)
        if exc and status >= 500:
            LOG.error("internal error %s", in_a_line(exc), extra={"request_id": request_id})
        else:
            LOG.info("refused a request that is no valid HTTP: %s", type(error or exc).__name__, extra={"request_id": request_id})
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had already begun")
        return refusal(error, status, request_id)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log the error that ended a connection, in a line; nothing where the client ended it."""
        error = kw.get("exc_info")
        if not isinstance(error, BaseException):
            LOG.error(*args)
        elif not isinstance(error, _FROM_OUTSIDE):
            LOG.error("internal error %s", in_a_line(error))


def _refused(error: BaseException) -> _ErrInfo:
    return _ErrInfo(status=400, exc=error, message="")


def _size(message: Any) -> int:
    """Bytes of a request's head."""
    fields = message.raw_headers
    texts = sum(map(len, chain.from_iterable(fields)))
    return len(message.method) + len(message.path) + len("  HTTP/1.1\r\n\r\n") + texts + len(": \r\n") * len(fields)
