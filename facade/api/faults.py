"""The wording of a body's faults, each with its path, and the envelope that every error is sent in.

Quotes types, limits and names of fields, never a value. Knows no HTTP library and no request shape by name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from facade.errors import InvalidRequestError, RerankerError

# A body can have a fault in each of 512 passages; the message names this many and counts the rest, the detail lists all.
_FAULTS_IN_MESSAGE = 5
# Characters of a client's name for a field or a model that a message quotes.
_QUOTED = 64


class ErrorResponse(BaseModel):
    """Every answer that isn't 2xx."""

    object: Literal["error"] = "error"
    message: str
    detail: dict[str, Any]
    type: str


@dataclass(frozen=True)
class Fault:
    """One fault of a body, and where it is; the path is empty for the body as a whole."""

    path: str
    message: str


def found(error: ValidationError, owners: Sequence[type[BaseModel]]) -> list[Fault]:
    """pydantic's findings in words that say what to do. `owners`: the model of the objects at each depth, the body's first."""
    return [_fault(entry, owners) for entry in error.errors(include_url=False, include_input=False)]


def invalid(faults: Sequence[Fault]) -> InvalidRequestError:
    """The error for a body with these faults."""
    named = "; ".join(f"{fault.path}: {fault.message}" if fault.path else fault.message for fault in faults[:_FAULTS_IN_MESSAGE])
    more = len(faults) - _FAULTS_IN_MESSAGE
    message = f"{named}; and {more} more" if more > 0 else named
    return InvalidRequestError(message, {"errors": [{"path": fault.path, "message": fault.message} for fault in faults]})


def _fault(entry: Any, owners: Sequence[type[BaseModel]]) -> Fault:
    location, kind, context = entry["loc"], entry["type"], entry.get("ctx", {})
    words = {
        "too_short": "empty, send at least 1 passage",
        "too_long": f"{context.get('actual_length')} passages, the most in one request is {context.get('max_length')}: "
        "split them over several",
        "string_too_short": "empty, send some text",
        "string_too_long": f"longer than {context.get('max_length')} characters",
        "missing": "required field is missing",
        "literal_error": f"expected {context.get('expected')}",
        "model_type": "expected a JSON object",
    }
    if kind == "extra_forbidden":  # in the words of NIM 2.x, which clients look for
        return Fault(_path(location), f"unknown field, expected one of {', '.join(owners[len(location) - 1].model_fields)}")
    return Fault(_path(location), words.get(kind) or entry["msg"].replace("Input should be", "expected"))


def _path(location: Iterable[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{quoted(part)}" for part in location).lstrip(".")


def quoted(name: str) -> str:
    """As much of a client's name for something as a message may quote."""
    return name if len(name) <= _QUOTED else f"{name[:_QUOTED]}..."


def error_body(message: str, detail: dict[str, Any], kind: str) -> dict[str, Any]:
    """The envelope. `detail` is an object, never null, since clients look into it."""
    return {"object": "error", "message": message, "detail": detail, "type": kind}


def enveloped(error: RerankerError) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer for an error, as the NIM sends it."""
    return error.status, error_body(error.message, error.detail, error.kind)
