"""The outermost middleware: a request id, every error in the envelope, and one line in the access log. No exception passes it. The access
log has sizes and times, never text. Knows no endpoint.
"""

import asyncio
import logging
import random
import re
import time

import orjson
from aiohttp import web

from facade.api.faults import enveloped
from facade.api.shape import Shape
from facade.errors import HttpRefusalError, RerankerError, UnauthorizedError, UnsupportedEncodingError
from facade.http import expectation
from facade.http.content_encoding import ACCEPTED
from facade.http.route import UNROUTED, Handler, Route, route_of
from facade.telemetry import correlation
from facade.telemetry.metrics import Metrics, reason
from facade.unforeseen import in_a_line

LOG = logging.getLogger("facade.access")
CRASH_LOG = logging.getLogger(__name__)

METRICS = web.AppKey("metrics", Metrics)
# The fields of a request in the access log and the trace beside its status: sizes, times, names that were accepted. Never text.
FIELDS = web.RequestKey("fields", dict[str, object])
# The shape of a ranking's body, once the body has come; its errors and its counts are of this shape.
SHAPE = web.RequestKey("shape", Shape)
REQUEST_ID = "X-Request-Id"
# The form of a client's own id: it goes into headers and logs, so any other is replaced.
_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
# In the log only: the client disconnected before its answer. The number is nginx's.
_CLIENT_LEFT = 499

# Messages for aiohttp's own refusals, which are plain text.
_REFUSALS = {
    404: "no such path: rankings are POST /v1/ranking or /v1/rerank, and /openapi.json lists all paths",
    405: "this path does not take this method: /openapi.json lists the methods of each path",
    411: "the length of the body is missing: send Content-Length, or a chunked body",
    415: "the body is not declared as JSON: send Content-Type: application/json",
}


def new_request_id() -> str:
    """An id for a request without one: 32 hex digits. It need not be secret, so it costs no system call."""
    return f"{random.getrandbits(128):032x}"


def error_response(error: RerankerError, shape: Shape | None = None) -> web.Response:
    """The answer for an error, in the form of the shape; None: in the NIM's."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, UnsupportedEncodingError):
        headers["Accept-Encoding"] = ACCEPTED
    status, body = (shape.refuse if shape else enveloped)(error)
    return json_response(body, status, headers)


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer in one write."""
    return web.Response(body=orjson.dumps(body), status=status, headers={"Content-Type": "application/json", **(headers or {})})


@web.middleware
async def envelope(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every request: an exception becomes an error of the envelope."""
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
        if shape := _shape(request, route):
            fields["shape"] = shape.name
            metrics.of_shape(shape.name, str(response.status)).inc()
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
        return error_response(error, _shape(request, route))
    except web.HTTPException as refusal:
        if refusal.status < 400:
            raise
        return _refuse(request, route, refusal)
    except Exception as error:  # noqa: BLE001 (the client gets the envelope for every error)
        _count_reject(request, route, "internal")
        CRASH_LOG.error("internal error %s", in_a_line(error), extra=request[FIELDS])
        return error_response(RerankerError("internal error; the log has the details under this request id"), _shape(request, route))
    return response


def _shape(request: web.Request, route: Route) -> Shape | None:
    """The shape of the body; before it has come, the most general one of its path."""
    return request.get(SHAPE) or (route.shapes[-1] if route.shapes else None)


def _refuse(request: web.Request, route: Route, refusal: web.HTTPException) -> web.Response:
    """The answer for a refusal of aiohttp's own, in the envelope."""
    if route is not UNROUTED:
        _count_reject(request, route, "invalid_request")
    message = _REFUSALS.get(refusal.status, refusal.reason)
    response = error_response(HttpRefusalError(message, refusal.status), _shape(request, route))
    response.headers.update({name: value for name, value in refusal.headers.items() if name in {"Allow", "Connection"}})
    return response
