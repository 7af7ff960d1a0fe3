"""/openapi.json, made of the wire contract's own models, and /docs, a page that shows it without the internet."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic.json_schema import models_json_schema

from facade import __version__
from facade.api.nim import ErrorResponse, HostedRankingRequest, RankingRequest, RankingResponse

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
# Where there is a file of API keys; without one, any header is ignored.
_KEY = "apiKey"
_READ = {
    "/v1/models": "The served model and its further names.",
    "/v1/health/live": "200 while the process answers.",
    "/v1/health/ready": "200 while a real inference succeeds, else 503.",
    "/v1/metadata": "Versions, the model, its limits, the engine, and the parity report of its export.",
    "/v1/version": "The release and the API's version.",
    "/v1/license": "The licence of the served model.",
    "/v1/manifest": "The bundle's manifest as it was exported.",
    "/v1/metrics": "Prometheus metrics, as text.",
}
_PRIORITY = {
    "name": "X-Priority",
    "in": "header",
    "description": "bulk: others go first.",
    "schema": {"type": "string", "enum": ["interactive", "bulk"], "default": "interactive"},
}
_EXAMPLE = {
    "query": {"text": "which way should i go?"},
    "passages": [
        {"text": "two roads diverged in a yellow wood, and sorry i could not travel both"},
        {"text": "i shall be telling this with a sigh somewhere ages and ages hence"},
    ],
    "truncate": "END",
}


def page_files() -> dict[str, Path]:
    """The two files of Swagger UI that the page needs, by name, out of the installed package."""
    folder = Path(str(files("swagger_ui") / "static"))
    return {name: folder / name for name in ("swagger-ui.css", "swagger-ui-bundle.js")}


def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    models = (RankingRequest, HostedRankingRequest, RankingResponse, ErrorResponse)
    _, schemas = models_json_schema([(model, "validation") for model in models], ref_template="#/components/schemas/{model}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Triton Reranker",
            "version": __version__,
            "description": "Ranks passages for a query; the API of NVIDIA's NeMo Retriever Reranking NIM.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/v1/ranking": {"post": _ranking("ranking", "Rank passages", "RankingRequest")},
            "/v1/retrieval/{model}/reranking": {
                "parameters": [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
                "post": _ranking("hosted_ranking", "Rank passages, as NVIDIA's hosted API", "HostedRankingRequest"),
            },
            **{path: {"get": _read(path, meaning)} for path, meaning in _READ.items()},
        },
        "components": {"schemas": schemas["$defs"], "securitySchemes": {_KEY: {"type": "http", "scheme": "bearer"}}},
        "security": [{_KEY: []}, {}],
    }


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _ranking(operation: str, summary: str, schema: str) -> dict[str, Any]:
    body = _content(schema)
    body["application/json"]["example"] = _EXAMPLE
    answers = {status: {"description": meaning, "content": _content("ErrorResponse")} for status, meaning in _ERRORS.items()}
    return {
        "tags": ["Ranking"],
        "operationId": operation,
        "summary": summary,
        "parameters": [_PRIORITY],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": {"description": "All passages, best first.", "content": _content("RankingResponse")}, **answers},
    }


def _read(path: str, meaning: str) -> dict[str, Any]:
    kind = "text/plain" if path.endswith("metrics") else "application/json"
    schema = {"type": "string"} if path.endswith("metrics") else {"type": "object"}
    responses: dict[str, Any] = {
        "200": {"description": meaning, "content": {kind: {"schema": schema}}},
        "401": {"description": _ERRORS["401"], "content": _content("ErrorResponse")},
    }
    if path.endswith("ready"):
        responses["503"] = {"description": "Not ready.", "content": _content("ErrorResponse")}
    return {"tags": ["Server"], "operationId": path.removeprefix("/v1/").replace("/", "_"), "summary": meaning, "responses": responses}
