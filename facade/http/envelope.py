"""A middleware around everything: a request id, every failure in the one envelope, and one line in the access log.

No exception passes it, and no answer that isn't the contract's leaves it. The access log has sizes and times, never text.
"""

import asyncio
import logging
import random
import re
import time

import orjson
from aiohttp import web

from facade.api.faults import error_body
from facade.errors import RerankerError, UnauthorizedError, UnsupportedEncodingError
from facade.http import expectation
from facade.http.content_encoding import ACCEPTED
from facade.http.route import UNROUTED, Handler, Route, route_of
from facade.telemetry import correlation
from facade.telemetry.metrics import Metrics, reason
from facade.unforeseen import in_a_line

LOG = logging.getLogger("facade.access")
CRASH_LOG = logging.getLogger(__name__)

METRICS = web.AppKey("metrics", Metrics)
# What the access log and the trace tell of a request beside its route and status: sizes, times, names that were accepted. Never text.
FIELDS = web.RequestKey("fields", dict[str, object])
REQUEST_ID = "X-Request-Id"
# What a caller's own id may look like: it goes into headers and logs, so nothing else is taken over.
_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
# In the log, no answer was sent: the caller had gone. The number is nginx's.
_CLIENT_LEFT = 499

# aiohttp's own refusals, which are plain text, in words that say what to do.
_REFUSALS = {
    404: "no such path; the ranking is POST /v1/ranking, all paths are in /openapi.json",
    405: "this path doesn't take this method; /openapi.json lists what it takes",
    411: "send a Content-Length or a chunked body",
    415: "send the body as JSON, with Content-Type: application/json",
}


def new_request_id() -> str:
    """An id for a request that brought none: 32 hex digits. It need not be secret, so it costs no system call."""
    return f"{random.getrandbits(128):032x}"


def error_response(error: RerankerError) -> web.Response:
    """The envelope of an error of our own family."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, UnsupportedEncodingError):
        headers["Accept-Encoding"] = ACCEPTED
    return json_response(error_body(error.message, error.detail, error.kind), error.status, headers)


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer in one write."""
    return web.Response(body=orjson.dumps(body), status=status, headers={"Content-Type": "application/json", **(headers or {})})


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever happens inside."""
    given = request.headers.get(REQUEST_ID)
    request_id = given if given and _REQUEST_ID_FORM.fullmatch(given) else new_request_id()
    metrics = request.app[METRICS]
    route = route_of(request)
    fields: dict[str, object] = {"request_id": request_id, "method": request.method, "route": route.name}
    request[FIELDS] = fields
    start = time.perf_counter()
    with correlation.working_for(request_id):
        try:
            response = await _answer(request, route, handler)
        except asyncio.CancelledError:
            _count_reject(request, route, "client_left")
            _log(request, route, _CLIENT_LEFT, time.perf_counter() - start)
            raise
        seconds = time.perf_counter() - start
        expectation.conclude(request, response)
        response.headers[REQUEST_ID] = request_id
        answers, times = metrics.of_route(route.name, response.status)
        answers.inc()
        times.observe(seconds)
        _log(request, route, response.status, seconds)
    return response


def _log(request: web.Request, route: Route, status: int, seconds: float) -> None:
    """Write the line of the access log."""
    level = logging.DEBUG if route.quiet and status == 200 else logging.INFO
    fields, ms = request[FIELDS], round(seconds * 1e3, 2)
    LOG.log(level, "%s %s %d %.1f ms", request.method, route.name, status, ms, extra={**fields, "status": status, "ms": ms})


def _count_reject(request: web.Request, route: Route, why: str) -> None:
    if not route.quiet:
        request.app[METRICS].of_reason(why).inc()


async def _answer(request: web.Request, route: Route, handler: Handler) -> web.StreamResponse:
    try:
        expectation.require_known(request)
        response: web.StreamResponse = await handler(request)
    except RerankerError as error:
        _count_reject(request, route, reason(error))
        return error_response(error)
    except web.HTTPException as refusal:
        if refusal.status < 400:
            raise
        return _refuse(request, route, refusal)
    except Exception as error:  # noqa: BLE001 (whatever it is, the caller gets the envelope)
        _count_reject(request, route, "internal")
        CRASH_LOG.error("internal error %s", in_a_line(error), extra=request[FIELDS])
        return json_response(error_body("internal error; the log has the details under this request id", {}, "internal_server_error"), 500)
    return response


def _refuse(request: web.Request, route: Route, refusal: web.HTTPException) -> web.Response:
    """The envelope of what aiohttp refuses by itself."""
    if route is not UNROUTED:
        _count_reject(request, route, "invalid_request")
    message = _REFUSALS.get(refusal.status, refusal.reason)
    kept = {name: value for name, value in refusal.headers.items() if name in {"Allow", "Connection"}}
    return json_response(error_body(message, {}, "invalid_request_error"), refusal.status, kept)
