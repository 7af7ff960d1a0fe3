"""A real Chromium, and the page in it. Each visit fails its test where the page throws or breaks its Content-Security-Policy."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LIMIT_S = 60.0
Visit = Callable[..., "Visited"]


@dataclass(frozen=True)
class Visited:
    """The page in a tab; `faults`: what it threw and which policy it broke; `asked`: the addresses of its requests."""

    page: "Page"
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def rows(self, side: int = 0) -> "Locator":
        return self.page.locator(".column").nth(side).locator(".row:visible")

    def order(self, side: int = 0) -> list[int]:
        """The passages as they are ranked, each by its place in the request."""
        return [int(index) for index in self.rows(side).evaluate_all("rows => rows.map((row) => row.dataset.index)")]

    def rank(self, query: str, passages: str) -> None:
        """Fill in both fields and wait for this ranking."""
        self.page.locator("#passages").fill(passages)
        self.page.locator("#query").fill(query)
        self.settled()

    def holds(self, selector: str, value: str) -> None:
        """Wait until the field has this content."""
        self.page.locator(selector).wait_for()
        deadline = time.monotonic() + LIMIT_S
        while self.page.locator(selector).input_value() != value:
            assert time.monotonic() < deadline, self.page.locator(selector).input_value()
            self.page.wait_for_timeout(20)

    def settled(self) -> None:
        """Wait until the last change is ranked and drawn, or refused."""
        self.page.locator("html[data-busy='false']").wait_for()

    def drop(self, selector: str, *files: tuple[str, str, str]) -> None:
        """Drop files (name, type, content in base64) as a person does with a mouse."""
        self.page.evaluate(
            """([selector, files]) => {
                const data = new DataTransfer();
                for (const [name, type, content] of files) {
                    data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type }));
                }
                for (const kind of ["dragover", "drop"]) {
                    document.querySelector(selector).dispatchEvent(
                        new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
                }
            }""",
            [selector, list(files)],
        )


@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:
    """Chromium without a window. Its scope is this folder: Playwright's loop must have ended before another folder's tests run theirs."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install 'triton-reranker[dev]'")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as running:
        options = ["--no-sandbox"] if os.getuid() == 0 else []  # Chromium has no sandbox for root
        found = running.chromium.launch(executable_path=program, args=options)
        yield found
        found.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Visit]:
    """`visit(url, color_scheme="dark", viewport=...)` opens the page in a tab of its own."""
    visits: list[Visited] = []

    def open_page(url: str, **options: Any) -> Visited:
        context = browser.new_context(**{"viewport": {"width": 1360, "height": 1000}, "accept_downloads": True, **options})
        context.set_default_timeout(LIMIT_S * 1000)
        visited = Visited(context.new_page())
        visits.append(visited)
        page = visited.page
        page.on("pageerror", lambda error: visited.faults.append(str(error)))
        page.on("console", lambda message: visited.faults.extend([message.text] if "Security Policy" in message.text else []))
        page.on("request", lambda request: visited.asked.append(request.url))
        page.goto(url)
        return visited

    yield open_page
    for visited in visits:
        visited.page.context.close()
    own = {urlsplit(address).netloc for visited in visits for address in visited.asked if urlsplit(address).scheme in {"http", "https"}}
    assert [fault for visited in visits for fault in visited.faults] == []
    assert len(own) <= len(visits)  # nothing but the page's own server was asked


@pytest.fixture
def page(visit: Visit, server: Server) -> Visited:
    """The page of the real server, with the first example ranked."""
    visited = visit(server.http)
    visited.settled()
    return visited
