"""python -m pytest tests/contract/test_page.py

The page of the real server: its address, its headers, and that the API's own document does not know of it. More: tests/unit/facade/http.
"""

import re

import aiohttp

from tests.contract.calls import call, get, refused


async def test_the_root_is_the_page_with_the_headers_of_every_answer(client: aiohttp.ClientSession) -> None:
    answer = await get(client, "/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', answer.headers["ETag"])


async def test_every_file_that_it_names_is_served(client: aiohttp.ClientSession) -> None:
    addresses = set(re.findall(r'(?:href|src)="(page/[^"]+)"', (await get(client, "/")).text))
    assert len(addresses) > 20
    for address in addresses:
        assert (await get(client, f"/{address}")).status == 200, address


async def test_it_takes_get_alone(client: aiohttp.ClientSession) -> None:
    answer = await call(client, "POST", "/")
    refused(answer, 405)
    assert answer.headers["Allow"] == "GET,HEAD"


async def test_the_document_of_the_api_does_not_have_it(client: aiohttp.ClientSession) -> None:
    assert not [path for path in (await get(client, "/openapi.json")).body["paths"] if path == "/" or path.startswith("/page")]
