"""The documents of a request in the forms that clients send: a string, an object with a text, an image or fields to rank, or a list of
content parts. Fetches nothing, and knows no request shape by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from facade.api.faults import Fault, quoted
from facade.api.passage_images import read_images
from facade.api.shape import Allowed
from facade.reranking.images import Image

_IMAGE = {"type": "string", "description": "A data URL or base64."}
_OBJECT = {"type": "object", "properties": {"text": {"type": "string"}, "image": _IMAGE}}

# A body's documents for the OpenAPI document; `read` checks them.
Documents = Annotated[
    Any,
    WithJsonSchema({"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "string"}, _OBJECT]}}),
    Field(description="What is to be ranked: strings, or objects with text, image or both."),
]
Query = Annotated[Any, WithJsonSchema({"type": "string", "minLength": 1}), Field(description="The query; not empty.")]
Model = Annotated[Any, WithJsonSchema({"type": "string"}), Field(description="Any name: one model is served, and the answer names it.")]


@dataclass(frozen=True)
class Document:
    """Text and image of a document."""

    text: str
    image: Image | None = None


@dataclass(frozen=True)
class _Sent:
    """A document as it came: the image is a data URL or base64, and `path` where it is in the body."""

    text: str
    image: str | None = None
    path: str = ""


class _NotOneError(Exception):
    """No document; the fault."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(path, message)


def read_query(value: Any, path: str = "query") -> tuple[str, list[Fault]]:
    """The query, a string or an object with a text, and its faults."""
    text = value.get("text") if isinstance(value, dict) else value
    if text is None:
        return "", [Fault(path, "required field is missing")]
    if not isinstance(text, str):
        return "", [Fault(path, "expected a string")]
    if isinstance(value, dict) and value.get("image") is not None:
        return "", [Fault(f"{path}.image", "a query is text; images can be in documents alone")]
    return text, [] if text else [Fault(path, "empty, send some text")]


def read_documents(value: Any, allowed: Allowed, path: str = "documents", fields: Sequence[str] = ()) -> tuple[list[Document], list[Fault]]:
    """The documents with their images read, and their faults. `fields`: of objects, those whose values are ranked, a line each."""
    values = _as_list(value)
    if values is None:
        return [], [Fault(path, "required field is missing" if value is None else "expected a list")]
    if not values:
        return [], [Fault(path, "empty, send at least 1 document")]
    if len(values) > allowed.passages:
        remedy = "split them over several, or raise RERANKER_MAX_DOCUMENTS"
        return [], [Fault(path, f"{len(values)} documents, the most in one request is {allowed.passages}: {remedy}")]
    sent: list[_Sent] = []
    faults: list[Fault] = []
    for index, each in enumerate(values):
        try:
            sent.append(_Sent(each) if isinstance(each, str) else _document(each, f"{path}[{index}]", fields))
        except _NotOneError as error:
            faults.append(error.fault)
    shown, unusable = read_images({each.path: each.image for each in sent if each.image is not None}, allowed.images)
    return [Document(each.text, shown.get(each.path)) for each in sent], faults + unusable


def _as_list(value: Any) -> list[Any] | None:
    """A single text is a list of one; an object with content parts is the list of these, as vLLM takes it."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict) and isinstance(value.get("content"), list):
        return [{"content": [part]} for part in value["content"]]
    return value if isinstance(value, list) else None


def _document(value: Any, path: str, fields: Sequence[str]) -> _Sent:
    if not isinstance(value, dict):
        raise _NotOneError(path, "expected a string, or an object with text")
    if "image" in fields:
        raise _NotOneError("rank_fields", "image is no text: leave it out, and the image itself is ranked")
    if fields:
        return _Sent("\n".join(_line(value[field], f"{path}.{quoted(field)}") for field in fields if value.get(field) is not None))
    if isinstance(value.get("content"), list):
        return _of_parts(value["content"], f"{path}.content")
    text, image = value.get("text"), _image(value.get("image"), f"{path}.image")
    if text is None and image is None:
        raise _NotOneError(path, "an object without text: send text, or name the fields to rank in rank_fields")
    if not isinstance(text, str | None):
        raise _NotOneError(f"{path}.text", "expected a string")
    return _Sent(text or "", image, f"{path}.image")


def _line(value: Any, path: str) -> str:
    if not isinstance(value, str | int | float):
        raise _NotOneError(path, "expected a string")
    return str(value)


def _of_parts(parts: list[Any], path: str) -> _Sent:
    """The texts of the parts, a line each, and the image of at most one of them."""
    texts: list[str] = []
    image, image_path = None, ""
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        at = f"{path}[{index}]"
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and image is None:
            image_path = f"{at}.image_url"
            image = _image(part.get("image_url"), image_path)
            if image is None:
                raise _NotOneError(image_path, "required field is missing")
        elif kind == "image_url":
            raise _NotOneError(at, "a second image: a document may have one")
        else:
            raise _NotOneError(at, "expected a part of type text or image_url")
    return _Sent("\n".join(texts), image, image_path)


def _image(value: Any, path: str) -> str | None:
    """An image, or the object with a url that OpenAI's clients make of one."""
    if isinstance(value, dict):
        value = value.get("url")
        path = f"{path}.url"
    if not isinstance(value, str | None):
        raise _NotOneError(path, "expected a data URL or base64")
    return value


def _truncates(value: Any) -> Any:
    return {"NONE": False, "END": True}.get(value.upper(), value) if isinstance(value, str) else value


# Whether a document's end is cut: a boolean, or the NIM's words.
Truncate = Annotated[bool, BeforeValidator(_truncates)]
