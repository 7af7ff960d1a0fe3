"""python -m pytest tests/browser/test_keyboard.py

Everything can be done with the keyboard alone, and the focus is always visible.
"""

import pytest

from tests.browser.conftest import Visit, Visited
from tests.conftest import Server

_FOCUSED = "() => ['id', 'className', 'name', 'textContent'].map((key) => document.activeElement[key]).find(Boolean)"


@pytest.fixture
def page(visit: Visit, server: Server) -> Visited:
    visited = visit(server.http)
    visited.settled()
    return visited


def tab_to(page: Visited, wanted: str, most: int = 40) -> None:
    for _ in range(most):
        page.page.keyboard.press("Tab")
        if page.page.evaluate(_FOCUSED) == wanted:
            return
    pytest.fail(f"{wanted} was not reached by Tab")


def test_every_control_is_reached_by_tab_in_the_order_of_the_page_and_shows_its_focus(page: Visited) -> None:
    reached: list[str] = []
    for _ in range(60):
        page.page.keyboard.press("Tab")
        reached.append(str(page.page.evaluate(_FOCUSED)))
        if reached[-1] == "copy-link":
            break
        visible = page.page.evaluate(
            """() => {
                const shown = document.activeElement.closest(".segments label")?.querySelector("span") ?? document.activeElement;
                return getComputedStyle(shown).outlineStyle !== "none" && getComputedStyle(shown).outlineWidth !== "0px";
            }"""
        )
        assert visible, reached[-1]
    wanted = [
        "skip",
        "key",
        "theme",
        "query",
        "passages",
        "add-files",
        "truncate",
        "compare",
        "rank",
        "threshold",
        "only",
        "more",
        "tab-curl",
        "copy-code",
        "code",
        "save-csv",
        "save-json",
        "copy-link",
    ]
    assert [each for each in reached if each in wanted] == wanted


def test_a_ranking_is_made_and_read_without_a_mouse(page: Visited) -> None:
    tab_to(page, "query")
    page.page.keyboard.press("Control+a")
    page.page.keyboard.type("Where are the snakes found?")
    page.page.keyboard.press("Control+Enter")
    page.settled()
    tab_to(page, "more")
    label = page.page.evaluate("() => document.activeElement.getAttribute('aria-label')")
    assert label == "Whole text of passage 4, place 1"
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("End")
    assert str(page.page.evaluate("() => document.activeElement.getAttribute('aria-label')")).endswith("place 6")
    page.page.keyboard.press("Enter")
    assert page.page.evaluate("() => document.activeElement.getAttribute('aria-expanded')") == "true"
    page.page.keyboard.press("Home")
    assert str(page.page.evaluate("() => document.activeElement.getAttribute('aria-label')")).endswith("place 1")


def test_the_skip_link_leads_to_the_results_and_leaves_the_address_alone(page: Visited) -> None:
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Enter")
    assert page.page.evaluate(_FOCUSED) == "results"
    assert "#" not in page.page.url


def test_threshold_truncate_compare_and_languages_are_set_by_keys(page: Visited) -> None:
    tab_to(page, "truncate")
    page.page.keyboard.press("ArrowRight")
    assert page.page.get_by_label("Refuse").is_checked()
    tab_to(page, "compare")
    page.page.keyboard.press("Space")
    page.settled()
    assert page.page.locator(".column").count() == 2
    tab_to(page, "threshold")
    page.page.keyboard.press("ArrowLeft")
    assert float(page.page.locator("#threshold").input_value()) < 0
    tab_to(page, "tab-curl")
    page.page.keyboard.press("ArrowRight")
    assert page.page.evaluate(_FOCUSED) == "tab-requests"
    assert page.page.locator("#code").inner_text().startswith("import requests")


def test_what_has_happened_is_said_to_screen_readers(page: Visited) -> None:
    words = page.page.locator("#announcement").inner_text()
    assert words.startswith("6 passages ranked in ")
    assert words.endswith("best is passage 5")
