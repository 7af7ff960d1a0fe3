"""The errors of this project, and the HTTP status of each.

    RerankerError
     |- InvalidRequestError      400  the body breaks the contract; every fault is listed
     |   |- ImageError           400  the image of a passage can't be used
     |   `- HttpRefusalError     400  a path, method or header that the HTTP library refuses, with the status of its own
     |- InputTooLongError        422  truncate NONE and a pair over the limit
     |- UnauthorizedError        401  no API key, or none that is known
     |- UnknownModelError        404  a model name that isn't served here
     |- RequestTimeoutError      408  the request's head or body came too slowly
     |- BodyTooLargeError        413  the body is over the limit, as it came or unpacked
     |- PathTooLongError         414  the path alone is over the limit of a head
     |- UnsupportedEncodingError 415  the body's Content-Encoding is none that can be undone
     |- ExpectationError         417  an Expect header other than 100-continue
     |- HeadTooLargeError        431  the request's head is over the limit
     |- OverloadedError          503  admission is full; Retry-After says when to come back
     |- NotReadyError            503  Triton is away or starting
     |   `- OtherBundleError     503  Triton serves another bundle than the one these tokens were made for
     |- DeadlineExceededError    504  the answer did not come in time
     |- ScoringError             500  the engine failed or gave a logit that is no number
     |- BundleError               -   at start: the model bundle is missing or damaged
     `- SettingsError             -   at start: an environment variable can't be used

Each error's message says what to do, and has no text of a request. This module knows no HTTP library: `facade/http/envelope.py` renders.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

_OTHER_BUNDLE = "Triton serves another model bundle than this facade; deploy the same bundle on both"


class RerankerError(Exception):
    """Base of the family: a message for people and a detail for programs.

    `status` is the HTTP status, `kind` the envelope's `type`, `retry_after_s` the seconds of a Retry-After header (None: no header).
    """

    status: int = 500
    kind: ClassVar[str] = "internal_server_error"
    retry_after_s: int | None = None

    def __init__(self, message: str, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = dict(detail or {})


class InvalidRequestError(RerankerError):
    """The request breaks the contract."""

    status = 400
    kind = "invalid_request_error"


class ImageError(InvalidRequestError):
    """The image of the passage `index` can't be used; the message begins with the field that holds it."""

    def __init__(self, index: int, reason: str) -> None:
        path = f"passages[{index}].image"
        super().__init__(f"{path}: {reason}", {"errors": [{"path": path, "message": reason}]})
        self.index = index
        self.reason = reason


class HttpRefusalError(InvalidRequestError):
    """A refusal of the HTTP library's own, with its status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class InputTooLongError(InvalidRequestError):
    """A pair is longer than the limit and the caller asked for no truncation; 422 as NIM 1.9.1 and later."""

    status = 422


class UnknownModelError(InvalidRequestError):
    """The named model is not served here."""

    status = 404


class UnauthorizedError(InvalidRequestError):
    """The request has no API key, or an unknown one."""

    status = 401


class RequestTimeoutError(InvalidRequestError):
    """The request's head or body did not come in time."""

    status = 408


class BodyTooLargeError(InvalidRequestError):
    """The body has more than `limit` bytes, as it came or unpacked."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the body is too large, {limit} bytes are allowed: send fewer or shorter passages, or raise RERANKER_HTTP_BODY_LIMIT_BYTES"
        )


class PathTooLongError(InvalidRequestError):
    """The path alone has more than the `limit` bytes of a whole head."""

    status = 414

    def __init__(self, limit: int) -> None:
        super().__init__(f"the path is longer than {limit} bytes: shorten it, or raise RERANKER_HTTP_HEAD_LIMIT_BYTES")


class UnsupportedEncodingError(InvalidRequestError):
    """The body has a Content-Encoding that is not supported."""

    status = 415


class ExpectationError(InvalidRequestError):
    """The request has an Expect header that is not supported."""

    status = 417


class HeadTooLargeError(InvalidRequestError):
    """The request's line and header fields have more bytes than allowed, or there are too many fields."""

    status = 431


class OverloadedError(RerankerError):
    """More work is in flight than admission allows; `retry_after_s` is when some of it will be done."""

    status = 503
    kind = "service_unavailable_error"
    retry_after_s = 1

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReadyError(RerankerError):
    """No Triton can be reached, or none that serves this bundle."""

    status = 503
    kind = "service_unavailable_error"
    retry_after_s = 2


class OtherBundleError(NotReadyError):
    """The tokens belong to another bundle than Triton's, whose digest is `served` where it is known. In the middle of a swap, reading that
    bundle helps.
    """

    def __init__(self, message: str = _OTHER_BUNDLE, served: str | None = None) -> None:
        super().__init__(message)
        self.served = served


class DeadlineExceededError(RerankerError):
    """The request's time was up before all of its logits had come."""

    status = 504
    kind = "deadline_exceeded_error"

    def __init__(self, message: str = "the request's time was up; send fewer passages or raise NIM_SERVER_REQUEST_TIMEOUT_S") -> None:
        super().__init__(message)


class ScoringError(RerankerError):
    """The engine failed on this request, or a logit is no finite number."""


class BundleError(RerankerError):
    """The model bundle is missing, damaged, or of another format."""


class SettingsError(RerankerError):
    """One or more settings can't be used; the message lists all of them."""
