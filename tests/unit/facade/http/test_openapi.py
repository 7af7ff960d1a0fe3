"""python -m pytest tests/unit/facade/http/test_openapi.py

The document describes the routes that there are, with the models that check them; the page needs nothing from the internet.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from facade import errors
from facade.api.shape import Allowed, shape_of
from facade.config.settings import Settings
from facade.http import openapi, routes
from facade.http.app import create_app

# Served, but no part of the API: the documentation itself, and the page.
NOT_DOCUMENTED = {"openapi", "docs", "docs_file", *(route.name for route in routes.PAGE)}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(openapi.document(routes.ALL)))
    return content


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in item.keys() & {"get", "post", "put", "delete", "patch", "head"}:
            yield method, path, item[method]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_to_a_schema(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found >= {f"#/components/schemas/{name}" for name in ("RankingRequest", "HostedRankingRequest", "RankingResponse")}
    assert {reference.removeprefix("#/components/schemas/") for reference in found} <= set(document["components"]["schemas"])


async def test_exactly_the_apps_routes_are_documented(document: dict[str, Any]) -> None:
    router = create_app(Settings()).router
    reached = set()
    for method, path, _ in operations(document):
        match = await router.resolve(make_mocked_request(method.upper(), path.replace("{model}", "nvidia/any")))
        assert not isinstance(match.http_exception, web.HTTPException), path
        reached.add(match.route.name)
    assert reached == set(router.named_resources()) - NOT_DOCUMENTED


def test_every_operation_has_a_name_of_its_own_and_a_summary(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names)) > 2
    assert all(operation["summary"] for _, _, operation in operations(document))


def test_every_status_of_the_error_family_is_documented(document: dict[str, Any]) -> None:
    at_start = (errors.BundleError, errors.SettingsError)
    statuses = {
        str(error.status)
        for error in vars(errors).values()
        if isinstance(error, type) and error not in at_start and hasattr(error, "status")
    }
    for path in ("/v1/ranking", "/v1/retrieval/{model}/reranking"):
        assert statuses <= set(document["paths"][path]["post"]["responses"])


def test_every_operation_says_that_it_may_need_an_api_key_and_how_it_is_sent(document: dict[str, Any]) -> None:
    (scheme,) = document["components"]["securitySchemes"].items()
    assert scheme[1] == {"type": "http", "scheme": "bearer"}
    # Either of the two: the document is the same with keys and without.
    assert document["security"] == [{scheme[0]: []}, {}]
    for _, path, operation in operations(document):
        refusals = list(references(operation["responses"]["401"]))
        assert refusals, path
        assert all(refusal.endswith("ErrorResponse") for refusal in refusals), path


def test_the_examples_are_requests_that_pass(document: dict[str, Any]) -> None:
    contents = [
        operation["requestBody"]["content"]["application/json"] for method, _, operation in operations(document) if method == "post"
    ]
    for content, shapes in zip(contents, (route.shapes for route in routes.ALL if route.shapes), strict=True):
        examples = content["examples"] if "examples" in content else {shapes[0].name: {"value": content["example"]}}
        assert list(examples) == [shape.name for shape in shapes]
        for shape in shapes:
            example = examples[shape.name]["value"]
            assert shape_of(example, shapes) is shape
            assert len(shape.parse(example, Allowed(2)).passage_texts) == 2


def test_the_strict_route_forbids_unknown_fields_and_the_hosted_one_does_not(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["RankingRequest"]["additionalProperties"] is False
    assert schemas["HostedRankingRequest"].get("additionalProperties", True) is True
    assert schemas["RankingRequest"]["properties"]["passages"]["maxItems"] == 512
    assert schemas["HostedRankingRequest"]["properties"]["passages"]["maxItems"] == 512


def test_the_page_loads_only_files_that_are_served_beside_it() -> None:
    loaded = re.findall(r'(?:href|src)="([^"]+)"', openapi.PAGE)
    assert "://" not in openapi.PAGE
    assert {address for address in loaded if not address.startswith("data:")} == {f"/docs/{name}" for name in openapi.page_files()}
    assert all(path.stat().st_size > 10_000 for path in openapi.page_files().values())
