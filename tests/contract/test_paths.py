"""python -m pytest tests/contract/test_paths.py

Which paths are served, however a client joins them, and what the others get.
"""

import aiohttp
import pytest
from yarl import URL

from tests.conftest import Server
from tests.contract.calls import call, faults, post, ranked, refused, request

GOOD = request("which rock floats", ["pumice", "basalt"])
LONG = request("which rock floats", ["pumice " * 600])
HOSTED = [
    "/v1/retrieval/nvidia/reranking",
    "/v1/retrieval/nvidia/llama-nemotron-rerank-1b-v2/reranking",
    "/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2/reranking",
    "/v1/retrieval/llama-nemotron-rerank-1b-v2/reranking",
]
READ = ["models", "health/live", "health/ready", "metadata", "version", "license", "manifest", "metrics"]


def exact(server: Server, path: str) -> URL:
    """The path as it stands: nothing joins or tidies it."""
    return URL(server.http + path, encoded=True)


@pytest.mark.parametrize(
    "path", ["/v1/ranking", "/ranking", "//ranking", "/v1//ranking", "//v1/ranking", "//v1//ranking", "///v1///ranking"]
)
async def test_a_ranking_is_served(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    assert len(ranked(await post(client, GOOD, exact(server, path)))) == 2


@pytest.mark.parametrize("path", ["/v1/ranking", "/ranking", "//v1//ranking"])
async def test_every_spelling_of_the_ranking_is_strict(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    assert set(faults(await post(client, {**GOOD, "top_k": 1}, exact(server, path)))) == {"top_k"}
    refused(await post(client, LONG, exact(server, path)), 422)


@pytest.mark.parametrize("name", READ)
async def test_what_can_be_read_is_served_with_and_without_v1(client: aiohttp.ClientSession, name: str) -> None:
    for path in (f"/v1/{name}", f"/{name}"):
        assert (await call(client, "GET", path)).status == 200


@pytest.mark.parametrize("path", ["//models", "/v1//models", "//v1//models", "//health/ready", "/v1//health/ready", "//v1//health/ready"])
async def test_doubled_slashes_before_a_name_do_not_matter(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    assert (await call(client, "GET", exact(server, path))).status == 200


@pytest.mark.parametrize("path", ["/v1/health//ready", "//v1//health//live", "//health//ready"])
async def test_doubled_slashes_within_a_name_do_not_matter(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    assert (await call(client, "GET", exact(server, path))).status == 200


@pytest.mark.parametrize(
    "path", ["/v1/ranking/", "/ranking/", "/v1/ranking//", "/v1/retrieval/nvidia/reranking/", "/retrieval/nvidia/a/reranking/"]
)
async def test_a_final_slash_of_a_ranking_does_not_matter(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    assert len(ranked(await post(client, GOOD, exact(server, path)))) == 2


@pytest.mark.parametrize("path", [*(f"/v1/{name}/" for name in READ), "/models/", "/health/ready//", "/openapi.json/", "/docs/"])
async def test_a_final_slash_of_what_can_be_read_does_not_matter(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    assert (await call(client, "GET", exact(server, path))).status == 200


@pytest.mark.parametrize("path", ["//v1//retrieval//nvidia//reranking", "/v1/retrieval//nvidia/x//reranking"])
async def test_doubled_slashes_of_the_hosted_routes_do_not_matter(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    ranked(await post(client, GOOD, exact(server, path)))


async def test_a_query_string_does_not_matter(client: aiohttp.ClientSession) -> None:
    ranked(await post(client, GOOD, "/v1/ranking?api-version=1"))


# the hosted routes


@pytest.mark.parametrize("path", [*HOSTED, "/retrieval/nvidia/reranking"])
async def test_a_hosted_route_ranks(client: aiohttp.ClientSession, path: str) -> None:
    assert len(ranked(await post(client, GOOD, path))) == 2


@pytest.mark.parametrize("path", HOSTED)
async def test_a_hosted_route_ignores_unknown_fields_at_all_levels(client: aiohttp.ClientSession, path: str) -> None:
    body = {
        "query": {"text": "which rock floats", "lang": "en"},
        "passages": [{"text": "pumice", "id": 1}, {"text": "basalt", "meta": {"a": [1]}}],
        "return_documents": True,
    }
    assert len(ranked(await post(client, body, path))) == 2


@pytest.mark.parametrize(
    ("cut", "count"),
    [
        ({"top_k": 1}, 1),
        ({"top_n": 2}, 2),
        ({"top_k": 3}, 3),
        ({"top_n": 9}, 3),
        ({"top_k": None}, 3),
        ({"top_n": None, "top_k": None}, 3),
        ({"top_n": None, "top_k": 1}, 1),
        ({"top_n": 2, "top_k": 1}, 1),
    ],
    ids=repr,
)
async def test_a_hosted_route_gives_as_many_rankings_as_asked_for(
    client: aiohttp.ClientSession, cut: dict[str, object], count: int
) -> None:
    body = request("which rock floats", ["basalt", "pumice", "the committee"])
    everything = (await post(client, body, HOSTED[0])).body
    answer = await post(client, {**body, **cut}, HOSTED[0])
    assert answer.body == {**everything, "rankings": everything["rankings"][:count]}


@pytest.mark.parametrize("name", ["top_k", "top_n"])
@pytest.mark.parametrize("value", [0, -1, "2", 1.5, True, [1]], ids=repr)
async def test_a_hosted_route_refuses_a_count_of_rankings_that_is_none(client: aiohttp.ClientSession, name: str, value: object) -> None:
    assert set(faults(await post(client, {**GOOD, name: value}, HOSTED[0]))) == {name}


@pytest.mark.parametrize("path", HOSTED)
async def test_a_hosted_route_truncates_unless_asked_otherwise(client: aiohttp.ClientSession, path: str) -> None:
    answer = await post(client, LONG, path)
    ranked(answer)
    assert answer.headers["X-Truncated-Passages"] == "0"


async def test_a_hosted_route_truncates_where_truncate_is_null(client: aiohttp.ClientSession) -> None:
    answer = await post(client, {**LONG, "truncate": None}, HOSTED[0])
    ranked(answer)
    assert answer.headers["X-Truncated-Passages"] == "0"


async def test_a_hosted_route_does_not_truncate_where_that_is_asked_for(client: aiohttp.ClientSession) -> None:
    refused(await post(client, {**LONG, "truncate": "NONE"}, HOSTED[0]), 422)


async def test_a_hosted_route_takes_the_model_of_the_body(client: aiohttp.ClientSession) -> None:
    refused(await post(client, {**GOOD, "model": "another/model"}, HOSTED[1]), 404)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"query": {"text": ""}}, "query.text"),
        ({"query": "text"}, "query"),
        ({"passages": []}, "passages"),
        ({"passages": [{"text": 1}]}, "passages[0].text"),
        ({"passages": [{"text": "a"}] * 513}, "passages"),
        ({"truncate": "START"}, "truncate"),
        ({"model": 1}, "model"),
    ],
    ids=["empty query", "query", "no passages", "passage", "513 passages", "truncate", "model"],
)
async def test_a_hosted_route_still_refuses_what_is_wrong(client: aiohttp.ClientSession, change: dict[str, object], path: str) -> None:
    assert set(faults(await post(client, {**GOOD, **change}, HOSTED[0]))) == {path}


@pytest.mark.parametrize("path", ["/v1/retrieval/reranking", "/v1/retrieval//reranking", "/v1/retrieval/nvidia/ranking"])
async def test_a_hosted_route_without_a_name_is_not_found(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    refused(await post(client, GOOD, exact(server, path)), 404)


# what is not served


@pytest.mark.parametrize(
    "path",
    [
        "//",
        "/v1",
        "/v1/",
        "/v1/rankings",
        "/v1/ranking/x",
        "/v1/ranking/%20",
        "/v2/ranking",
        "/v1/v1/ranking",
        "/v1/embeddings",
        "/V1/ranking",
        "/docs/../ranking",
    ],
)
async def test_another_path_is_not_found(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    assert "/v1/ranking" in refused(await post(client, GOOD, exact(server, path)), 404)["message"]


@pytest.mark.parametrize("path", ["/docs/nothing.js", "/docs/..%2f..%2fapp.py", "/docs/%2e%2e/openapi.json", "/docs//a", "/v1/%00", "/%ff"])
async def test_a_file_that_is_not_the_page_s_is_not_found(client: aiohttp.ClientSession, server: Server, path: str) -> None:
    refused(await call(client, "GET", exact(server, path)), 404)


@pytest.mark.parametrize("path", ["/v1/ranking", "/ranking", "//v1//ranking", *HOSTED[:2]])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_ranking_takes_only_post(client: aiohttp.ClientSession, server: Server, path: str, method: str) -> None:
    answer = await call(client, method, exact(server, path))
    refused(answer, 405)
    assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", [*(f"/v1/{name}" for name in READ), "/models", "/openapi.json", "/docs"])
async def test_what_can_be_read_takes_only_get_and_head(client: aiohttp.ClientSession, path: str) -> None:
    answer = await call(client, "POST", path, json={})
    refused(answer, 405)
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


async def test_a_method_of_another_protocol_is_refused(client: aiohttp.ClientSession) -> None:
    refused(await call(client, "PROPFIND", "/v1/ranking"), 405)
