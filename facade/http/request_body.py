"""The body of a ranking request, received and decompressed within its limits. Knows nothing of its content."""

import asyncio
from concurrent.futures import Executor

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from facade.config.settings import Settings
from facade.errors import BodyTooLargeError, InvalidRequestError, RequestTimeoutError
from facade.http import expectation
from facade.http.content_encoding import encoding_of, unpacked


async def read_body(request: web.Request, settings: Settings, threads: Executor) -> bytes:
    """The plain body: declared as JSON, within the size limit, encoded as declared, and received in time.

    Raises web.HTTPUnsupportedMediaType, UnsupportedEncodingError, BodyTooLargeError, RequestTimeoutError and InvalidRequestError.
    """
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    encoding = encoding_of(",".join(request.headers.getall("Content-Encoding", [])))
    limit = settings.body_limit_bytes
    if (request.content_length or 0) > limit:
        raise BodyTooLargeError(limit)
    body = await _received(request, settings)
    if not encoding:
        return body
    return await asyncio.get_running_loop().run_in_executor(threads, unpacked, body, encoding, limit)


async def _received(request: web.Request, settings: Settings) -> bytes:
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            await expectation.ask_for_body(request)
            return await request.read()
    except TimeoutError:
        raise RequestTimeoutError("the body did not come in time; send it faster, or raise RERANKER_BODY_TIMEOUT_S") from None
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLargeError(settings.body_limit_bytes) from None
    except (web.RequestPayloadError, HttpProcessingError):
        raise InvalidRequestError("the body's chunks are not as Transfer-Encoding says: send it with a Content-Length") from None
