"""The body of a ranking request, received and decompressed within its limits. Knows nothing of its content."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from facade.errors import BodyTooLargeError, InvalidRequestError, RequestTimeoutError
from facade.http import expectation
from facade.http.content_encoding import encoding_of, unpacked


@dataclass(frozen=True)
class BodyLimits:
    """Most bytes of a body, as it comes and unpacked; seconds in which it has to come.

    `hold` is called with the bytes that have come so far, and may raise an error of its own.
    """

    size: int
    timeout_s: float
    hold: Callable[[int], None]


async def read_body(request: web.Request, limits: BodyLimits, threads: Executor) -> bytes | bytearray:
    """The plain body: declared as JSON, within the limits, encoded as declared. Only the caller keeps it.

    Raises web.HTTPUnsupportedMediaType, UnsupportedEncodingError, BodyTooLargeError, RequestTimeoutError and InvalidRequestError.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    encoding = encoding_of(",".join(request.headers.getall("Content-Encoding", [])))
    if (request.content_length or 0) > limits.size:
        raise BodyTooLargeError(limits.size)
    body = await _received(request, limits)
    if not encoding:
        return body
    plain = await asyncio.get_running_loop().run_in_executor(threads, unpacked, body, encoding, limits.size)
    limits.hold(len(plain))
    return plain


async def _received(request: web.Request, limits: BodyLimits) -> bytearray:
    body = bytearray()  # aiohttp's own `read` would keep the body until the request is answered
    try:
        async with asyncio.timeout(limits.timeout_s):
            await expectation.ask_for_body(request)
            while part := await request.content.readany():
                body += part
                if len(body) > limits.size:
                    raise BodyTooLargeError(limits.size)
                limits.hold(len(body))
    except TimeoutError:
        raise RequestTimeoutError("the body did not come in time; send it faster, or raise RERANKER_BODY_TIMEOUT_S") from None
    except (web.RequestPayloadError, HttpProcessingError):
        raise InvalidRequestError("the body's chunks are not as Transfer-Encoding says: send it with a Content-Length") from None
    return body
