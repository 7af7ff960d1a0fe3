"""python -m pytest tests/unit/facade/http/test_page.py

The page's files: headers, caching, weight, and that they need nothing from elsewhere. What the page does: tests/browser.
"""

import fnmatch
import gzip
import posixpath
import re
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from facade.config.settings import Settings
from facade.http import page
from facade.http.app import create_app
from tests.conftest import ROOT
from tests.contract.calls import call, get, refused, scrape
from tests.contract.scorers import Fixed
from tests.unit.facade.http.access_key import KEY, LINE, bearer

FILES = {path.name: path for path in sorted((ROOT / "facade" / "http" / "page_files").iterdir())}
HEAVIEST = 150_000  # bytes, uncompressed
MODULES = [name for name in FILES if name.endswith(".js")]
MOST_LINES = 250
Start = Callable[..., Awaitable[TestClient[Any, Any]]]


@pytest.fixture
def app(aiohttp_client: AiohttpClient) -> Start:
    async def start(**settings: Any) -> TestClient[Any, Any]:
        return await aiohttp_client(create_app(Settings(**settings), Fixed()))

    return start


def text(name: str) -> str:
    return FILES[name].read_text()


async def test_the_root_answers_the_page_and_each_of_its_files_is_served_as_it_is(app: Start) -> None:
    client = await app()
    index = await get(client, "/")
    assert index.status == 200
    assert index.headers["Content-Type"] == "text/html; charset=utf-8"
    assert index.content == FILES["index.html"].read_bytes()
    for name, path in FILES.items():
        assert (await get(client, f"/page/{name}")).content == path.read_bytes()


async def test_browsers_get_the_types_they_insist_on(app: Start) -> None:
    client = await app()
    types = {name: (await get(client, f"/page/{name}")).headers["Content-Type"].partition(";")[0] for name in FILES}
    assert {types[name] for name in MODULES} == {"text/javascript"}
    assert types["style.css"] == "text/css"
    assert types["icon.svg"] == "image/svg+xml"


@pytest.mark.parametrize("path", ["/", "/page/main.js"])
async def test_the_policy_allows_files_of_this_server_and_nothing_inline(app: Start, path: str) -> None:
    headers = (await get(await app(), path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert {policy[kind] for kind in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy["img-src"] == "'self' data:"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/page/style.css"])
async def test_a_browser_that_has_the_file_gets_304_without_it(app: Start, path: str) -> None:
    client = await app()
    first = await get(client, path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = await call(client, "GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (await call(client, "GET", path, headers={"If-None-Match": 'W/"another"'})).status == 200


async def test_a_client_gets_the_file_compressed_only_where_it_says_that_it_can(app: Start) -> None:
    client = await app()
    for accepted, encoding in (("gzip, br", "gzip"), ("identity", None)):
        async with client.get("/page/main.js", headers={"Accept-Encoding": accepted}) as answer:
            assert answer.headers.get("Content-Encoding") == encoding
            assert await answer.read() == FILES["main.js"].read_bytes()
            assert answer.headers["Vary"] == "Accept-Encoding"


async def test_a_head_has_no_body(app: Start) -> None:
    answer = await call(await app(), "HEAD", "/")
    assert (answer.status, answer.content) == (200, b"")


@pytest.mark.parametrize("name", ["nothing.js", "..%2fpage.py", "%2e%2e/routes.py", "sub/main.js", ""])
async def test_another_file_is_not_found(app: Start, name: str) -> None:
    refused(await get(await app(), f"/page/{name}"), 404)


async def test_where_it_is_switched_off_the_root_is_not_found(app: Start) -> None:
    client = await app(page=False)
    for path in ("/", "/page/main.js"):
        assert "/v1/ranking" in refused(await get(client, path), 404)["message"]
    assert not Settings.from_environment({"RERANKER_PAGE": "0"}).page


async def test_the_page_needs_no_key_and_its_calls_do(app: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{LINE}\n")
    client = await app(api_keys_file=keys, api_keys_exempt=())
    assert (await get(client, "/")).status == 200
    assert (await get(client, "/page/main.js")).status == 200
    refused(await get(client, "/v1/metadata"), 401)
    assert (await call(client, "GET", "/v1/metadata", headers=bearer(KEY))).status == 200


async def test_a_visit_is_counted_and_not_logged(app: Start, caplog: pytest.LogCaptureFixture) -> None:
    client = await app()
    with caplog.at_level("INFO"):
        await get(client, "/")
        await get(client, "/page/main.js")
    assert not [record for record in caplog.records if record.name == "facade.access"]
    counted = await scrape(client)
    assert counted.value("reranker_requests_total", route="try_page", status="200") == 1


def test_all_files_together_weigh_little() -> None:
    weight = sum(path.stat().st_size for path in FILES.values())
    assert weight < HEAVIEST
    assert sum(len(file.compressed) for file in page.static_files().values()) < weight / 2
    assert all(gzip.decompress(file.compressed) == file.content for file in page.static_files().values())


def test_every_file_is_in_the_installed_package() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["facade"]
    for path in FILES.values():
        assert any(fnmatch.fnmatch(str(path.relative_to(ROOT / "facade")), pattern) for pattern in patterns), path


def test_the_page_has_no_script_or_style_or_handler_of_its_own_in_its_html() -> None:
    html = text("index.html")
    assert re.findall(r"<script[^>]*>([^<]+)</script>", html) == []
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)


def test_every_address_is_relative_and_every_file_is_there() -> None:
    """So the page also works below a prefix."""
    addresses = re.findall(r'(?:href|src)="([^"#]+)"', text("index.html"))
    assert addresses
    assert all(address == "docs" or address.removeprefix("page/") in FILES for address in addresses)
    for name in MODULES:
        assert not re.search(r'["\'`]/(?:v1|page|docs)', text(name)), name
        for target in re.findall(r'from "(.+?)"', text(name)):
            assert posixpath.normpath(target) in FILES


def test_nothing_comes_from_elsewhere() -> None:
    for name in FILES:
        found = set(re.findall(r"https?://[^\s\"'`<>]+", text(name)))
        assert found <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"@import|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text(name)), name


def test_a_browser_is_told_of_every_module_at_once() -> None:
    """Else it finds them one import after another."""
    preloaded = re.findall(r'rel="modulepreload" href="page/(.+?)"', text("index.html"))
    assert sorted([*preloaded, "main.js", "theme.js"]) == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_a_module_fits_on_two_screens_and_says_what_it_is_for(name: str) -> None:
    assert text(name).startswith("// ")
    assert len(text(name).splitlines()) <= MOST_LINES
