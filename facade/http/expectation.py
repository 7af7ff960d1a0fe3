"""`Expect: 100-continue`: the client holds its body back until the server asks for it.

aiohttp asks for the body before a middleware has seen the request. Here the client is asked for it last, so that a request that is refused
for its head alone costs no upload.
"""

from contextlib import suppress

from aiohttp import HttpVersion11, web
from aiohttp.hdrs import EXPECT
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy

from facade.errors import ExpectationError

_ASKED = web.RequestKey("body_asked_for", bool)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def deferred(message: RawRequestMessage) -> RawRequestMessage:
    """The message without its Expect header, which aiohttp would act upon; the raw headers keep it."""
    headers = CIMultiDict(message.headers)
    headers.popall(EXPECT)
    return message._replace(headers=CIMultiDictProxy(headers))


def require_known(request: web.Request) -> None:
    """Raise ExpectationError for any expectation but 100-continue. HTTP/1.0 has none."""
    if _expected(request) not in {"", "100-continue"}:
        raise ExpectationError("Expect: 100-continue is the only expectation that is met; leave the header out")


async def ask_for_body(request: web.Request) -> None:
    """Send 100 Continue where the client waits for it."""
    if _expected(request):
        request[_ASKED] = True
        with suppress(ConnectionError):  # the client has left, and the request is about to be cancelled
            await request.writer.write(_CONTINUE)
        request.writer.output_size = 0  # aiohttp takes what was written for the beginning of the answer


def conclude(request: web.Request, response: web.StreamResponse) -> None:
    """Close the connection after an answer to a client that was not asked for its body: it may still send the body, or not."""
    if _expected(request) and not request.get(_ASKED):
        response.force_close()


def _expected(request: web.Request) -> str:
    if len(request.raw_headers) == len(request.headers) or request.version < HttpVersion11:
        return ""  # no header was taken out of the message, as for nearly all requests
    return next(value.decode(errors="replace").strip().lower() for name, value in request.raw_headers if name.lower() == b"expect")
