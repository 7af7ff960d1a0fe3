"""/openapi.json, made of the routes and the models of their request shapes, and /docs, a page that shows it without the internet. Knows no
route by name.
"""

import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from facade import __version__
from facade.api.faults import ErrorResponse
from facade.api.shape import Shape
from facade.http.route import Route

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Triton Reranker API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({url: "/openapi.json", dom_id: "#api", deepLinking: true})</script>
</body>
</html>
"""

_ERRORS = {
    "400": "The body breaks the contract; every fault is listed in detail.errors.",
    "401": "This server asks for an API key, and none that it knows was sent.",
    "404": "The model isn't served here.",
    "408": "The request's head or body came too slowly.",
    "413": "The body is too large.",
    "414": "The path is too long.",
    "415": "The body isn't declared as JSON, or is compressed otherwise than as gzip or deflate.",
    "417": "An Expect header other than 100-continue.",
    "422": "truncate is NONE and a pair is over the model's limit; detail.pairs lists them.",
    "431": "The request's head is too large.",
    "500": "The model failed on this request.",
    "503": "Overloaded, or no model can be reached; Retry-After says when to come back.",
    "504": "The request's time was up.",
}
# Of the shapes of other servers, beside those: an overload has another status, and a pair over the limit is a 400, but for TEI.
_LENIENT_ERRORS = {
    "400": "The body breaks the contract, or must not be truncated and is over the model's limit.",
    "422": "The same, in the shape of Text Embeddings Inference (TEI).",
    "424": "The model failed on this request, in the shape of Text Embeddings Inference (TEI).",
    "429": "Overloaded; Retry-After says when to come back.",
    "503": "No model can be reached; Retry-After says when to come back.",
}
# In use where the server has a file of API keys; without one, the header is ignored.
_KEY = "apiKey"
_PRIORITY = {
    "name": "X-Priority",
    "in": "header",
    "description": "bulk: others go first.",
    "schema": {"type": "string", "enum": ["interactive", "bulk"], "default": "interactive"},
}


def page_files() -> dict[str, Path]:
    """The two files of Swagger UI that the page loads, by name; they come from the installed package."""
    folder = Path(str(files("swagger_ui") / "static"))
    return {name: folder / name for name in ("swagger-ui.css", "swagger-ui-bundle.js")}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of those of the routes that have a summary."""
    described = [route for route in routes if route.summary]
    models = [model for route in described for shape in route.shapes for model in (shape.request, shape.response, shape.error)]
    models = list(dict.fromkeys([*models, ErrorResponse]))
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Triton Reranker",
            "version": __version__,
            "description": "Ranks passages for a query; the API of NVIDIA's NeMo Retriever Reranking NIM.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {route.path: _item(route) for route in described},
        "components": {"schemas": schemas["$defs"], "securitySchemes": {_KEY: {"type": "http", "scheme": "bearer"}}},
        "security": [{_KEY: []}, {}],
    }


def _item(route: Route) -> dict[str, Any]:
    named = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"{(\w+)}", route.path)]
    operation = {"post": _ranking(route)} if route.shapes else {"get": _reading(route)}
    return {"parameters": named, **operation} if named else operation


def _content(*models: type[BaseModel]) -> dict[str, Any]:
    """JSON of one of the models."""
    schemas = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in dict.fromkeys(models)]
    return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}


def _ranking(route: Route) -> dict[str, Any]:
    shapes = route.shapes
    body = _content(*(shape.request for shape in shapes))
    body["application/json"] |= _examples(shapes)
    errors = _content(*(shape.error for shape in shapes))
    meanings = {**_ERRORS, **_LENIENT_ERRORS} if any(shape.lenient for shape in shapes) else _ERRORS
    refusals = {status: {"description": meaning, "content": errors} for status, meaning in sorted(meanings.items())}
    answer = {"description": "The passages, best first.", "content": _content(*(shape.response for shape in shapes))}
    return {
        "tags": ["Ranking"],
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [_PRIORITY],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": answer, **refusals},
    }


def _examples(shapes: Sequence[Shape]) -> dict[str, Any]:
    if len(shapes) == 1:
        return {"example": shapes[0].example}
    return {"examples": {shape.name: {"summary": shape.summary, "value": shape.example} for shape in shapes}}


def _reading(route: Route) -> dict[str, Any]:
    schema = {"type": "object" if route.media_type == "application/json" else "string"}
    meanings = {"401": _ERRORS["401"], **route.refusals}
    refusals = {status: {"description": meaning, "content": _content(ErrorResponse)} for status, meaning in meanings.items()}
    answer = {"description": route.summary, "content": {route.media_type: {"schema": schema}}}
    return {"tags": ["Server"], "operationId": route.name, "summary": route.summary, "responses": {"200": answer, **refusals}}
