"""python -m pytest tests/contract/test_docs.py

The API's own description: /openapi.json holds what is served, and /docs works without the internet.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest

from facade.http import routes
from facade.reranking.bundle import Bundle
from tests.contract.calls import faults, get, post, ranked, refused, request

# Pages about the API, not of it.
NOT_DESCRIBED = {"/openapi.json", "/docs", "/docs/{file}"}
METHODS = {"get", "post", "put", "delete", "patch", "head", "options", "trace"}
COMPONENT_NAME = re.compile(r"[a-zA-Z0-9._-]+")
RANKINGS = ["/v1/ranking", "/v1/retrieval/{model}/reranking"]


class Loads(HTMLParser):
    """What a page makes the browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self.addresses += [value for name, value in attrs if name in {"src", "href", "srcset", "data", "action"} and value]


def served() -> set[tuple[str, str]]:
    """(method, path) of every endpoint, each path in its one spelling under /v1."""
    return {("post" if route.shapes else "get", route.path) for route in routes.ALL}


def objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


def resolve(document: dict[str, Any], reference: str) -> Any:
    start, *parts = reference.split("/")
    assert start == "#"
    node: Any = document
    for part in parts:
        node = node[part]
    return node


@pytest.fixture
async def document(client: aiohttp.ClientSession) -> dict[str, Any]:
    return dict((await get(client, "/openapi.json")).body)


async def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert set(document) <= {"openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components", "security", "tags"}
    assert document["info"]["title"]
    assert document["info"]["version"]
    assert not {"identifier", "url"} <= set(document["info"]["license"])


async def test_every_operation_has_an_id_of_its_own_and_described_answers(document: dict[str, Any]) -> None:
    operations = [item[method] for item in document["paths"].values() for method in METHODS & set(item)]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    for operation in operations:
        assert "200" in operation["responses"]
        assert all(answer["description"] for answer in operation["responses"].values())


async def test_every_reference_resolves(document: dict[str, Any]) -> None:
    references = [node["$ref"] for node in objects(document) if isinstance(node.get("$ref"), str)]
    assert references
    for reference in references:
        assert isinstance(resolve(document, reference), dict)


async def test_every_component_s_name_is_allowed(document: dict[str, Any]) -> None:
    assert all(COMPONENT_NAME.fullmatch(name) for name in document["components"]["schemas"])


async def test_every_schema_requires_only_properties_it_has(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        assert schema["type"] in {"object", "array"}
        assert set(schema.get("required", [])) <= set(schema.get("properties", []))


async def test_every_parameter_of_a_path_is_declared(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        declared = {parameter["name"] for parameter in item.get("parameters", []) if parameter["in"] == "path" and parameter["required"]}
        assert declared == set(re.findall(r"\{(\w+)\}", path))


async def test_every_served_route_is_described_and_nothing_else(document: dict[str, Any]) -> None:
    described = {(method, path) for path, item in document["paths"].items() for method in METHODS & set(item)}
    assert described == {(method, path) for method, path in served() if path not in NOT_DESCRIBED}


async def test_every_described_path_that_can_be_read_answers_as_described(
    client: aiohttp.ClientSession, document: dict[str, Any], bundle: Bundle
) -> None:
    for path in (path for path, item in document["paths"].items() if "get" in item):
        answer = await get(client, path.replace("{model}", bundle.model_id))
        assert answer.status == 200
        content_type = answer.headers["Content-Type"].partition(";")[0]
        assert set(document["paths"][path]["get"]["responses"]["200"]["content"]) == {content_type}


@pytest.mark.parametrize("path", RANKINGS)
async def test_a_ranking_describes_every_status_that_it_answers_with(document: dict[str, Any], path: str) -> None:
    responses = document["paths"][path]["post"]["responses"]
    assert set(responses) == {"200", "400", "401", "404", "408", "413", "414", "415", "417", "422", "431", "500", "503", "504"}


@pytest.mark.parametrize("path", RANKINGS)
async def test_the_example_is_answered(client: aiohttp.ClientSession, document: dict[str, Any], path: str) -> None:
    example = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    ranked(await post(client, example, path.replace("{model}", "nvidia")))


@pytest.mark.parametrize(("path", "default"), [(RANKINGS[0], "NONE"), (RANKINGS[1], "END")])
async def test_limits_and_defaults_are_described(document: dict[str, Any], path: str, default: str) -> None:
    reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = resolve(document, reference)
    hosted = {"top_k", "top_n"} if path == RANKINGS[1] else set()
    assert set(schema["properties"]) == {"model", "query", "passages", "truncate", *hosted}
    assert set(schema["required"]) == {"query", "passages"}
    assert schema["properties"]["truncate"]["default"] == default
    assert schema["properties"]["truncate"]["enum"] == ["NONE", "END"]
    passages = schema["properties"]["passages"]
    assert (passages["minItems"], passages["maxItems"]) == (1, 512)
    assert schema.get("additionalProperties", True) is (default == "END")


async def test_an_answer_has_the_described_fields(client: aiohttp.ClientSession, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    body = (await post(client, request("a", ["b"]))).body
    assert set(body) == set(schemas["RankingResponse"]["properties"])
    assert set(body["rankings"][0]) == set(schemas["RankingEntry"]["properties"])
    assert set(body["usage"]) == set(schemas["Usage"]["properties"])


async def test_a_refusal_has_the_described_fields(client: aiohttp.ClientSession, document: dict[str, Any]) -> None:
    answer = await post(client, {})
    assert faults(answer)
    assert set(refused(answer, 400)) == set(document["components"]["schemas"]["ErrorResponse"]["properties"])


async def test_the_page_loads_only_files_of_its_own_server_and_they_exist(client: aiohttp.ClientSession) -> None:
    page = await get(client, "/docs")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    loads = Loads()
    loads.feed(page.text)
    addresses = [address for address in loads.addresses if not address.startswith("data:")]
    assert addresses
    for address in addresses:
        assert re.match(r"/[^/]", address), address
        answer = await get(client, address)
        assert answer.status == 200
        assert answer.content


async def test_the_page_s_files_have_the_types_that_browsers_insist_on(client: aiohttp.ClientSession) -> None:
    assert (await get(client, "/docs/swagger-ui.css")).headers["Content-Type"].startswith("text/css")
    assert "javascript" in (await get(client, "/docs/swagger-ui-bundle.js")).headers["Content-Type"]


async def test_the_page_s_style_fetches_nothing_from_elsewhere(client: aiohttp.ClientSession) -> None:
    style = (await get(client, "/docs/swagger-ui.css")).text
    assert not re.search(r"@import|url\(\s*['\"]?(?:https?:)?//", style)


async def test_the_page_shows_this_server_s_document(client: aiohttp.ClientSession) -> None:
    (address,) = re.findall(r'url: "([^"]+)"', (await get(client, "/docs")).text)
    assert (await get(client, address)).body["openapi"]
