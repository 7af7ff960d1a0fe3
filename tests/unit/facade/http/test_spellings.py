"""python -m pytest tests/unit/facade/http/test_spellings.py

A pattern is for one path in all of its spellings. That the server takes them: tests/contract/test_paths.py.
"""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from facade.http.spellings import pattern


async def endpoint(_: web.Request) -> web.Response:
    return web.Response()


async def takes(path: str, asked: str) -> bool:
    router = web.UrlDispatcher()
    router.add_get(pattern(path), endpoint)
    return (await router.resolve(make_mocked_request("GET", asked))).http_exception is None


@pytest.mark.parametrize("asked", ["/v1/health/ready", "/health/ready", "//v1//health//ready", "/v1/health/ready/", "/health/ready//"])
async def test_a_path_below_v1_is_found_without_it_and_with_doubled_slashes(asked: str) -> None:
    assert await takes("/v1/health/ready", asked)


@pytest.mark.parametrize("asked", ["/v2/health/ready", "/v1/health", "/v1/health/ready/now", "/v1/healthready"])
async def test_another_path_is_not(asked: str) -> None:
    assert not await takes("/v1/health/ready", asked)


async def test_a_parameter_below_v1_may_have_slashes() -> None:
    assert await takes("/v1/retrieval/{model}/reranking", "/v1/retrieval/nvidia/a-model/reranking")


async def test_any_other_path_is_found_with_a_final_slash_and_in_no_further_spelling() -> None:
    assert await takes("/docs", "/docs/")
    assert not await takes("/docs", "/v1/docs")
    assert not await takes("/docs", "//docs")
