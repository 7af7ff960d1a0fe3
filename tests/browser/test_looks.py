"""python -m pytest tests/browser/test_looks.py

Light, dark and phone: axe-core's rules (WCAG 2.2 A and AA), no sideways scrolling, and the README's picture.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Visit, Visited
from tests.conftest import ROOT, Server

pytestmark = pytest.mark.long

AXE = ROOT / ".tools" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True}
LONG = "word " * 900
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# `PICTURES=folder` keeps what the tests saw, as PNG files; docs/page.png is one of them.
PICTURES = os.environ.get("PICTURES")


def picture(page: Visited, name: str) -> None:
    if PICTURES:
        page.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=name != "page")


def serious(page: Visited) -> list[str]:
    """Axe's serious and critical findings."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `make test` installs it where npm is found")
    page.page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.page.evaluate("rules => axe.run(document, { runOnly: rules })", _RULES)
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:200]} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
        if each["impact"] in {"serious", "critical"}
    ]


def plain(page: Visited) -> None:
    """The first example."""


def refused(page: Visited) -> None:
    page.rank("word", f"short\n\n{LONG}")
    page.page.get_by_label("Refuse").check(force=True)
    page.settled()
    page.page.locator("#passages-error").wait_for()


def compared(page: Visited) -> None:
    page.page.get_by_label("Compare two sides").check()
    page.page.get_by_label("B has the passages of A").uncheck()
    page.page.locator("#passages").fill(
        f"The snakes are found in Africa.\n\n{'How long do they live? ' * 200}\n\nPythons live for 20 to 30 years."
    )
    page.page.get_by_label("Cut", exact=False).first.check(force=True)
    page.settled()


def asked_for_a_key(page: Visited) -> None:
    page.page.locator("#key").click()
    page.page.locator("#key-dialog").wait_for()


STATES = {"plain": plain, "refused": refused, "compared": compared, "key": asked_for_a_key}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": PHONE,
    "phone-dark": {**PHONE, "color_scheme": "dark"},
}


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(look: str, visit: Visit, server: Server) -> Visited:
    visited = visit(server.http, reduced_motion="reduce", **LOOKS[look])
    visited.page.locator("#card-model dd").first.wait_for()
    visited.settled()
    return visited


@pytest.mark.parametrize("state", STATES)
def test_there_is_no_serious_finding_and_no_sideways_scrolling(page: Visited, look: str, state: str) -> None:
    STATES[state](page)
    picture(page, f"{look}-{state}")
    width = LOOKS[look].get("viewport", {"width": 1360})["width"]
    assert page.page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert serious(page) == []


def test_a_chosen_theme_holds_against_the_systems_and_after_a_reload(visit: Visit, server: Server) -> None:
    page = visit(server.http, color_scheme="dark")
    ground = "() => getComputedStyle(document.querySelector('.panel')).backgroundColor"
    dark = page.page.evaluate(ground)
    page.page.get_by_role("button", name="Switch between light and dark").click()
    light = page.page.evaluate(ground)
    assert (dark, light) == ("rgb(24, 29, 31)", "rgb(255, 255, 255)")
    page.page.reload()
    assert page.page.evaluate(ground) == light


def test_the_readme_shows_the_page_in_a_small_picture(visit: Visit, server: Server) -> None:
    page = visit(server.http, viewport={"width": 1200, "height": 790}, reduced_motion="reduce")
    page.settled()
    picture(page, "page")
    assert "docs/page.png" in (ROOT / "README.md").read_text()
    assert 10_000 < (ROOT / "docs" / "page.png").stat().st_size < 200_000
