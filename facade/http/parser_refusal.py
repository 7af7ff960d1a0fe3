"""Answers to bytes that aiohttp's parser refuses, in the envelope: bytes that are no HTTP request, or a head over the limit. aiohttp's own
answer repeats the bytes; this one quotes none of them. Knows no connection.
"""

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from facade.api.faults import error_body
from facade.errors import HeadTooLargeError, PathTooLongError, RerankerError
from facade.http.envelope import REQUEST_ID, error_response, json_response
from facade.http.security_headers import ALWAYS

# How aiohttp's message begins; the error has no class of its own.
_TOO_MANY_FIELDS = "Too many headers"


def head_error(error: BaseException | None, path_limit: int) -> RerankerError | None:
    """The error for a head over a limit; None for anything else.

    aiohttp's LineTooLong does not say of what: the path has a limit of its own, `path_limit`, by which it is known.
    """
    if isinstance(error, LineTooLong):
        return PathTooLongError(path_limit) if error.args[1] == path_limit else head_too_large(path_limit)
    if isinstance(error, BadHttpMessage) and error.message.startswith(_TOO_MANY_FIELDS):
        return HeadTooLargeError("the request's head has too many fields: send fewer, 100 are fine")
    return error if isinstance(error, RerankerError) else None


def head_too_large(limit: int) -> HeadTooLargeError:
    """The error for a head of more than `limit` bytes."""
    remedy = "send fewer or shorter headers, cookies and tokens among them, or raise RERANKER_HTTP_HEAD_LIMIT_BYTES"
    return HeadTooLargeError(f"the request's head is larger than {limit} bytes: {remedy}")


def refusal(error: RerankerError | None, status: int, request_id: str) -> web.Response:
    """The answer, after which the connection is closed. Where `error` is None, `status` says whether client or server is at fault."""
    if error:
        response = error_response(error)
    elif status >= 500:
        response = json_response(error_body("internal error; the log says where", {}, "internal_server_error"), 500)
    else:
        response = json_response(error_body("this is no valid HTTP/1.1 request; send plain JSON", {}, "invalid_request_error"), status)
    response.headers.update(ALWAYS)
    response.headers[REQUEST_ID] = request_id
    response.force_close()
    return response
