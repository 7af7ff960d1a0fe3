"""The outermost middleware: a request id on everything, every failure in the one envelope, and one access log line.

No exception passes it, and no answer that isn't the contract's leaves it. The access log has sizes and times, never text.
"""

import asyncio
import logging
import re
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from facade.errors import RerankerError
from facade.metrics import Metrics
from facade.schema import error_body

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOG = logging.getLogger("facade.access")
CRASH_LOG = logging.getLogger(__name__)

METRICS = web.AppKey("metrics", Metrics)
REQUEST_ID = "X-Request-Id"
# What a caller's own id may look like: it goes into headers and logs, so nothing else is taken over.
_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_UNROUTED = "unrouted"
# Asked every few seconds by whoever watches the server.
_QUIET = frozenset({"health_live", "health_ready", "metrics"})

# aiohttp's own refusals, which are plain text, in words that say what to do.
_REFUSALS = {
    404: "no such path; the ranking is POST /v1/ranking, all paths are in /openapi.json",
    405: "this path doesn't take this method; /openapi.json lists what it takes",
    411: "send a Content-Length or a chunked body",
    413: "the body is too large; send fewer or shorter passages, or raise RERANKER_HTTP_BODY_LIMIT_BYTES",
    415: "send the body as JSON, with Content-Type: application/json",
}


def new_request_id() -> str:
    """An id for a request that brought none."""
    return uuid.uuid4().hex


def error_response(error: RerankerError) -> web.Response:
    """The envelope of an error of our own family."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else None
    return json_response(error_body(error.message, error.detail, error.kind), error.status, headers)


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer in one write."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever happens inside."""
    given = request.headers.get(REQUEST_ID, "")
    request_id = given if _REQUEST_ID_FORM.fullmatch(given) else new_request_id()
    metrics = request.app[METRICS]
    route = request.match_info.route.name or _UNROUTED
    start = time.perf_counter()
    try:
        response = await _answer(request, handler, metrics, request_id)
    except asyncio.CancelledError:
        metrics.rejects.labels("client_left").inc()
        LOG.info("%s %s left request_id=%s", request.method, route, request_id)
        raise
    seconds = time.perf_counter() - start
    response.headers[REQUEST_ID] = request_id
    metrics.requests.labels(route, str(response.status)).inc()
    metrics.request_seconds.labels(route).observe(seconds)
    level = logging.DEBUG if route in _QUIET and response.status == 200 else logging.INFO
    LOG.log(level, "%s %s %d %.1f ms request_id=%s", request.method, route, response.status, seconds * 1e3, request_id)
    return response


async def _answer(request: web.Request, handler: Handler, metrics: Metrics, request_id: str) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except RerankerError as error:
        metrics.rejects.labels(type(error).__name__.removesuffix("Error")).inc()
        return error_response(error)
    except web.HTTPException as refusal:
        if refusal.status < 400:
            raise
        message = _REFUSALS.get(refusal.status, refusal.reason)
        kept = {name: value for name, value in refusal.headers.items() if name in {"Allow", "Connection"}}
        return json_response(error_body(message, {}, "invalid_request_error"), refusal.status, kept)
    except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets the envelope)
        # The traceback's source lines hold no request text; the exception's own message might, so it stays out.
        frames = [f"{frame.filename}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__))]
        CRASH_LOG.error("internal error %s at %s request_id=%s", type(error).__name__, " < ".join(frames), request_id)
        return json_response(error_body("internal error; the log has the details under this request id", {}, "internal_server_error"), 500)
    return response
