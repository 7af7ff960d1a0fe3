"""What is no HTTP gets the envelope, too: aiohttp answers a request that its parser refuses before any middleware sees it.

Its own answer repeats the bytes that it could not parse, and its log has them with a traceback; ours do neither. aiohttp has no hook for
this, so its handler class is replaced by a subclass of it, here and nowhere else.
"""

import logging

from aiohttp import web, web_server

from facade.envelope import REQUEST_ID, json_response, new_request_id
from facade.schema import error_body

LOG = logging.getLogger(__name__)


class _RequestHandler(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 (aiohttp's signature; it has parts of the request)
    ) -> web.StreamResponse:
        """The answer to a request that could not be parsed; the connection is closed after it."""
        LOG.info("refused a request that is no valid HTTP: %s", type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had already begun")
        told = "this is no valid HTTP/1.1 request, or its body is in an encoding that is not supported; send plain JSON"
        response = json_response(error_body(told, {}, "invalid_request_error"), status)
        response.headers[REQUEST_ID] = new_request_id()
        response.force_close()
        return response


def install() -> None:
    """Use the handler for all servers of this process from now on; calling it again changes nothing."""
    web_server.RequestHandler = _RequestHandler  # type: ignore[attr-defined]
